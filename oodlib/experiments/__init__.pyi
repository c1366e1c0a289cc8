from .experiment import Experiment as Experiment
