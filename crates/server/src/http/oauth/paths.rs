//! The OAuth endpoints in the API's description. Each stands for its copy below `/auth/realms`,
//! and some for a short form of the realm `main`.
