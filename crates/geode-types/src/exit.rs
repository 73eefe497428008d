//! What a server says by the way it ends.

/// The exit code of a server that ends because its own files are certainly damaged (`EX_DATAERR` of sysexits.h), and of no other end. The operator
/// deletes the volumes of a member on the strength of it (ADR 22), so whoever is not sure ends with another code.
pub const EXIT_DAMAGED: u8 = 65;
