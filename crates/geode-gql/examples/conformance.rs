//! Prints docs/reference/gql-conformance.md, for `cargo xtask generate`.

fn main() {
    print!("{}", geode_gql::conformance::markdown());
}
