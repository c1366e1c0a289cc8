"""From results to what a page shows: tables, figures and maps."""
