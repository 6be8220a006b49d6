"""SearchCV: scikit-learn's search with cross-validation, as a study of hpmpi."""
