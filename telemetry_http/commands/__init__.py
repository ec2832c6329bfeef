"""The sub-commands of the service, one file each."""
