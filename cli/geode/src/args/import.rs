//! The arguments of `geode import`.

use super::{ConnectArgs, Format};
use clap::Args;
use std::path::PathBuf;
use std::str::FromStr;

/// Files of nodes, then files of edges. A file's name ends with .csv, or with .jsonl or .ndjson: one JSON object a line.
///
/// CSV has a header. A column is `name` or `name:type`; types are string (when none is given), int, float, bool, decimal, date, time,
/// localtime, datetime, localdatetime, duration and json. An empty cell is no property. Nodes have a key (`id`, see --key), which becomes a
/// property that is unique for the label. Edges have the keys of their ends in `from` and `to`; other columns are properties.
#[derive(Args, Debug)]
pub(crate) struct ImportArgs {
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
    /// A file of nodes and their label, `Person=people.csv`; more labels with colons between them, the key is unique for the first.
    #[arg(long, value_name = "LABEL=FILE")]
    pub(crate) nodes: Vec<NodeFile>,
    /// A file of edges, with the labels that their ends are looked up by: `Person:LIVES_IN:City=lives.csv`.
    #[arg(long, value_name = "FROM:TYPE:TO=FILE")]
    pub(crate) edges: Vec<EdgeFile>,
    /// The property that is a node's key.
    #[arg(long, value_name = "NAME", default_value = "id")]
    pub(crate) key: String,
    /// The import's name: the same command, started again, goes on where an import of this name ended.
    #[arg(long, value_name = "NAME", default_value = "import")]
    pub(crate) name: String,
    /// Forget how far an unfinished import of this name got. What it wrote stays in the graph.
    #[arg(long)]
    pub(crate) restart: bool,
    /// Rows of one transaction.
    #[arg(long, value_name = "N", default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    pub(crate) batch_rows: u32,
    /// Transactions in flight at a time.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) parallel: u16,
    /// How the result is printed: table or json.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// A file of nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeFile {
    pub(crate) labels: Vec<String>,
    pub(crate) path: PathBuf,
}

/// A file of edges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EdgeFile {
    pub(crate) from: String,
    pub(crate) edge_type: String,
    pub(crate) to: String,
    pub(crate) path: PathBuf,
}

impl FromStr for NodeFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (labels, path) = split(text)
            .filter(|(labels, _)| labels.iter().all(|label| !label.is_empty()))
            .ok_or_else(|| format!("{text:?} is not LABEL=FILE, for example Person=people.csv"))?;
        Ok(Self { labels, path })
    }
}

impl FromStr for EdgeFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is not FROM:TYPE:TO=FILE, for example Person:LIVES_IN:City=lives.csv");
        let (names, path) = split(text).ok_or_else(wrong)?;
        match <[String; 3]>::try_from(names) {
            Ok([from, edge_type, to]) if !from.is_empty() && !edge_type.is_empty() && !to.is_empty() => {
                Ok(Self {
                    from,
                    edge_type,
                    to,
                    path,
                })
            }
            _ => Err(wrong()),
        }
    }
}

/// The names before the `=`, and the path behind it.
fn split(text: &str) -> Option<(Vec<String>, PathBuf)> {
    let (names, path) = text.split_once('=')?;
    (!path.is_empty()).then(|| (names.split(':').map(str::to_owned).collect(), path.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_comes_with_its_labels_and_an_edge_file_with_those_of_both_ends() {
        assert_eq!(
            "Person:Member=a=b.csv".parse(),
            Ok(NodeFile {
                labels: vec!["Person".into(), "Member".into()],
                path: "a=b.csv".into(),
            })
        );
        assert_eq!(
            "Person:LIVES_IN:City=lives.csv".parse(),
            Ok(EdgeFile {
                from: "Person".into(),
                edge_type: "LIVES_IN".into(),
                to: "City".into(),
                path: "lives.csv".into(),
            })
        );
        for wrong in ["people.csv", "=people.csv", "Person=", "Person:=people.csv"] {
            assert!(wrong.parse::<NodeFile>().is_err(), "{wrong}");
        }
        for wrong in ["KNOWS=k.csv", "A:B:=k.csv", "A:B:C:D=k.csv", "A:B:C"] {
            assert!(wrong.parse::<EdgeFile>().is_err(), "{wrong}");
        }
    }
}
