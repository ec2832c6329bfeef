"""The promises of the contract, one module for each group of ids."""
