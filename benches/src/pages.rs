//! How many bytes of an LMDB file hold data: read from the file, as its layout in `lmdb.h` and `mdb.c` says (little endian, 64 bits).

use anyhow::{Context, Result, ensure};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const PAGE: u64 = 4096;
const PAGE_HEADER: usize = 16;
const MAGIC: u64 = 0xBEEF_C0DE;
/// In a meta page: two tables, then the last page and the transaction.
const TABLES_AT: usize = PAGE_HEADER + 24;
const TABLE: usize = 48;
/// A node of a leaf page whose value is a table.
const IS_TABLE: u64 = 0x02;

/// What a store takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Pages that hold something.
    pub(crate) live: u64,
    /// The file: free pages, which later commits use, are in it.
    pub(crate) file: u64,
}

/// Of the newest commit in the file.
pub(crate) fn size(file: &Path) -> Result<Size> {
    let opened = std::fs::File::open(file).with_context(|| file.display().to_string())?;
    let page = |number: u64| -> Result<Vec<u8>> {
        let mut bytes = vec![0; PAGE as usize];
        opened.read_exact_at(&mut bytes, number * PAGE)?;
        Ok(bytes)
    };
    let (first, second) = (page(0)?, page(1)?);
    let transaction = |meta: &[u8]| number(meta, TABLES_AT + 2 * TABLE + 8, 8);
    let meta = if transaction(&first) > transaction(&second) {
        first
    } else {
        second
    };
    ensure!(
        number(&meta, PAGE_HEADER, 4) == MAGIC,
        "{} is no LMDB file",
        file.display()
    );
    let (free, main) = (&meta[TABLES_AT..], &meta[TABLES_AT + TABLE..]);
    let mut pages = 2 + pages_of(free) + pages_of(main);
    // Our few named tables fit one leaf page.
    ensure!(number(main, 6, 2) == 1, "more tables than a page holds");
    let leaf = page(number(main, 40, 8))?;
    let nodes = (number(&leaf, 12, 2) as usize - PAGE_HEADER) / 2;
    for place in 0..nodes {
        let node = &leaf[number(&leaf, PAGE_HEADER + 2 * place, 2) as usize..];
        if number(node, 4, 2) & IS_TABLE != 0 {
            pages += pages_of(&node[8 + number(node, 6, 2) as usize..]);
        }
    }
    Ok(Size {
        live: pages * PAGE,
        file: (number(&meta, TABLES_AT + 2 * TABLE, 8) + 1) * PAGE,
    })
}

/// Branches, leaves and overflow pages of a table.
fn pages_of(table: &[u8]) -> u64 {
    [8, 16, 24].map(|at| number(table, at, 8)).iter().sum()
}

fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    let digits = bytes[at..at + length].iter().rev();
    digits.fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// A file of this name below a folder.
pub(crate) fn find(folder: &Path, name: &str) -> Result<Option<PathBuf>> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if let Some(found) = find(&path, name)? {
                return Ok(Some(found));
            }
        } else if path.file_name().is_some_and(|file| file == name) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}
