//! A file as batches of rows: each row a map of values with the number of its line. Reads as far as it is asked.

use super::columns::Column;
use geode_types::{Properties, Value, from_json};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Rows end a batch early when they have this many bytes in the file, so that a statement fits a frame.
const BATCH_BYTES_MAX: u64 = 4 << 20;

/// A row of a file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// Where it stands; the first line is 1.
    pub(super) line: u64,
    pub(super) values: Properties,
}

/// What is written in one transaction.
pub(super) struct Batch {
    pub(super) rows: Vec<Row>,
    /// How far the file has been read behind it, in bytes.
    pub(super) end: u64,
}

/// A file that is read row by row.
pub(super) struct Rows {
    reader: Reader,
    path: String,
    position: u64,
}

enum Reader {
    Csv {
        records: Box<csv::StringRecordsIntoIter<File>>,
        columns: Vec<Column>,
    },
    Lines {
        lines: BufReader<File>,
        number: u64,
    },
}

impl Rows {
    /// Opens a file and reads its header.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|error| format!("cannot read {name}: {error}"))?;
        let reader = match path.extension().and_then(|end| end.to_str()) {
            Some("csv") => {
                let mut reader = csv::ReaderBuilder::new().from_reader(file);
                let header = reader.headers().map_err(|error| format!("{name}: {error}"))?;
                let columns: Vec<Column> = header
                    .iter()
                    .map(str::parse)
                    .collect::<Result<_, _>>()
                    .map_err(|error| format!("{name}, line 1: {error}"))?;
                for (at, column) in columns.iter().enumerate() {
                    if columns.iter().take(at).any(|before| before.name == column.name) {
                        return Err(format!("{name}, line 1: two columns are named {:?}", column.name));
                    }
                }
                Reader::Csv {
                    records: Box::new(reader.into_records()),
                    columns,
                }
            }
            Some("jsonl" | "ndjson") => Reader::Lines {
                lines: BufReader::new(file),
                number: 0,
            },
            _ => {
                return Err(format!(
                    "{name}: what is in it? Its name has to end with .csv, .jsonl or .ndjson"
                ));
            }
        };
        Ok(Self {
            reader,
            path: name,
            position: 0,
        })
    }

    /// The next rows, at most so many; `None` at the end of the file.
    pub(super) fn batch(&mut self, rows_max: u32) -> Result<Option<Batch>, String> {
        let begin = self.position;
        let mut rows = Vec::new();
        while rows.len() < rows_max as usize && self.position - begin < BATCH_BYTES_MAX {
            match self.row()? {
                Some(row) => rows.push(row),
                None => break,
            }
        }
        Ok((!rows.is_empty()).then_some(Batch {
            rows,
            end: self.position,
        }))
    }

    fn row(&mut self) -> Result<Option<Row>, String> {
        let path = &self.path;
        let at = |line: u64, what: &dyn std::fmt::Display| format!("{path}, line {line}: {what}");
        match &mut self.reader {
            Reader::Csv { records, columns } => {
                let Some(record) = records.next() else {
                    return Ok(None);
                };
                // Its own message has the line.
                let record = record.map_err(|error| format!("{path}: {error}"))?;
                let line = record.position().map_or(0, csv::Position::line);
                self.position = records.reader().position().byte();
                let mut values = Properties::new();
                for (column, cell) in columns.iter().zip(&record) {
                    if let Some(value) = column.value(cell).map_err(|error| at(line, &error))? {
                        values.push((column.name.clone(), value));
                    }
                }
                values.sort_by(|(left, _), (right, _)| left.cmp(right));
                Ok(Some(Row { line, values }))
            }
            Reader::Lines { lines, number } => {
                let mut text = String::new();
                loop {
                    text.clear();
                    *number += 1;
                    let read = lines.read_line(&mut text).map_err(|error| at(*number, &error))?;
                    if read == 0 {
                        return Ok(None);
                    }
                    self.position += read as u64;
                    if !text.trim().is_empty() {
                        break;
                    }
                }
                let json = serde_json::from_str(&text).map_err(|error| at(*number, &error))?;
                match from_json(&json).map_err(|error| at(*number, &error))? {
                    Value::Map(values) => Ok(Some(Row {
                        line: *number,
                        values,
                    })),
                    _ => Err(at(*number, &"a row is a JSON object")),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    fn file(name: &str, text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    fn all(name: &str, text: &str, rows_max: u32) -> Result<Vec<Vec<Row>>, String> {
        let (_folder, path) = file(name, text);
        let mut rows = Rows::open(&path)?;
        let mut batches = Vec::new();
        while let Some(batch) = rows.batch(rows_max)? {
            batches.push(batch.rows);
        }
        Ok(batches)
    }

    #[test]
    fn csv_and_json_lines_give_the_same_rows() {
        let csv = "name,id:int\nAda,1\n\"Grace, \"\"H\"\"\",2\n,3\n";
        let json =
            "{\"id\": 1, \"name\": \"Ada\"}\n{\"id\": 2, \"name\": \"Grace, \\\"H\\\"\"}\n\n{\"id\": 3}\n";
        let values = |batches: Vec<Vec<Row>>| -> Vec<Properties> {
            batches.into_iter().flatten().map(|row| row.values).collect()
        };
        let (csv, json) = (all("a.csv", csv, 2).unwrap(), all("a.jsonl", json, 2).unwrap());
        assert_eq!(csv.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(csv[1][0].line, 4);
        assert_eq!(json[1][0].line, 4);
        assert_eq!(values(csv), values(json));
    }

    #[test]
    fn a_batch_ends_where_it_ended_before_and_before_a_frame_is_full() {
        let mut text = "id:int,text\n".to_owned();
        for id in 0..100 {
            let _ = writeln!(text, "{id},{}", "x".repeat(100_000));
        }
        let lengths = |batches: Vec<Vec<Row>>| batches.iter().map(Vec::len).collect::<Vec<_>>();
        let once = lengths(all("a.csv", &text, 1000).unwrap());
        assert_eq!(once, lengths(all("a.csv", &text, 1000).unwrap()));
        assert!(once.len() >= 2 && once.iter().sum::<usize>() == 100, "{once:?}");
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_line() {
        for (name, text, says) in [
            ("a.csv", "id:int\n1\nx\n", "line 3: column id"),
            ("a.csv", "id,id:int\n", "line 1: two columns"),
            ("a.csv", "id,name\n1\n", "line: 2"),
            ("a.jsonl", "{\"id\": 1}\n[1]\n", "line 2: a row is a JSON object"),
            ("a.jsonl", "{\"id\": 1}\n{\n", "line 2"),
            ("a.txt", "", "has to end with .csv"),
        ] {
            let error = all(name, text, 10).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
