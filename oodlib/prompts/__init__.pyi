from .sets import TEMPLATES as TEMPLATES
from .sets import check_prompts as check_prompts
from .sets import ensemble as ensemble
from .sets import fill as fill
from .sets import templates as templates
