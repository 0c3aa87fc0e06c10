// Filled by the store's tests.
