//! Counts the conformance cases of each feature (see `conformance/README.md`), so that a claim is never more than its cases.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, error, fs};

#[path = "src/conformance/cases.rs"]
mod cases;

fn main() -> Result<(), Box<dyn error::Error>> {
    println!("cargo:rerun-if-changed=conformance");
    println!("cargo:rerun-if-changed=src/conformance/cases.rs");
    let mut counts: BTreeMap<String, [usize; 3]> = BTreeMap::new();
    for entry in fs::read_dir("conformance")? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "gql") {
            cases::count(&fs::read_to_string(path)?, &mut counts);
        }
    }
    let mut table = String::from("&[\n");
    for line in fs::read_to_string("conformance/features.tsv")?.lines() {
        let Some((id, title)) = line.split_once('\t').filter(|_| !line.starts_with('#')) else {
            continue;
        };
        let cases = counts.remove(id).unwrap_or_default();
        writeln!(
            table,
            "    Feature {{ id: {id:?}, title: {title:?}, cases: {cases:?} }},"
        )?;
    }
    table.push(']');
    if let Some(id) = counts.keys().next() {
        return Err(format!("conformance cases for {id}, which features.tsv does not have").into());
    }
    fs::write(Path::new(&env::var("OUT_DIR")?).join("features.rs"), table)?;
    Ok(())
}
