"""The model store: pretrained models the user brought, checked and kept in one place."""
