"""What the notebooks say and show about runs: claims, tables, figures, the workbook, and rendered pages."""
