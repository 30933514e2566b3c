"""Studies: networks × recipes × seeds as a file of the user's, trained run by run into a folder, and their report."""
