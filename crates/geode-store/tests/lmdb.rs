//! What only the LMDB store promises: durability, limits, and that a killed process leaves one whole state.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use geode_store::{LARGE_TABLES, LmdbOptions, LmdbStore, Loader, Reader, Store, WriteTxn};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn open(directory: &std::path::Path) -> LmdbStore {
    LmdbStore::open(directory, LmdbOptions::default()).unwrap()
}

#[test]
fn commits_survive_closing_and_opening() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..3u8 {
        let store = open(directory.path());
        assert_eq!(store.size().unwrap().entries, u64::from(round));
        let mut tx = store.write().unwrap();
        tx.put(&[round + 1], b"x").unwrap();
        tx.commit().unwrap();
    }
}

#[test]
fn a_large_table_that_grows_at_its_end_fills_its_pages() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let mut payload = 0;
    for commit in 0..300u32 {
        let mut tx = store.write().unwrap();
        for entry in 0..20 {
            let key = [&[LARGE_TABLES.start][..], &(commit * 20 + entry).to_be_bytes()].concat();
            // The last entry of a table may grow where it is, like a block of edges.
            for bytes in [60, 100, 180] {
                tx.put(&key, &vec![1; bytes]).unwrap();
            }
            payload += key.len() as u64 + 180;
        }
        tx.commit().unwrap();
        store.sync().unwrap();
    }
    let used = store.size().unwrap().used_bytes;
    // Pages for reuse, inner pages, LMDB's eight bytes an entry and entries that moved are in it; half empty pages alone would be 2.1.
    assert!(used < payload * 3 / 2, "{used} bytes for {payload}");
}

#[test]
fn a_full_map_is_told_apart_and_reads_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let options = LmdbOptions {
        map_size: 1 << 20,
        ..LmdbOptions::default()
    };
    let store = LmdbStore::open(directory.path(), options).unwrap();
    let mut tx = store.write().unwrap();
    tx.put(b"a", b"kept").unwrap();
    tx.commit().unwrap();
    let mut tx = store.write().unwrap();
    let failed = (0..1000u32).find_map(|number| tx.put(&number.to_be_bytes(), &[1; 10_000]).err());
    assert!(failed.unwrap().is_full());
    drop(tx);
    assert_eq!(store.read().unwrap().get(b"a").unwrap(), Some(&b"kept"[..]));
    drop(store);
    let larger = open(directory.path());
    let mut tx = larger.write().unwrap();
    tx.put(b"b", &vec![1; 3 << 20]).unwrap();
    tx.commit().unwrap();
}

fn put(store: &LmdbStore, key: &[u8]) {
    let mut tx = store.write().unwrap();
    tx.put(key, b"x").unwrap();
    tx.commit().unwrap();
}

/// Copies the files as a crash would leave them, with everything that is in the system's cache.
fn crash(from: &std::path::Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for file in ["data.mdb", "anchor"] {
        std::fs::copy(from.join(file), to.path().join(file)).unwrap();
    }
    to
}

#[test]
fn a_crash_takes_back_whole_commits_to_the_last_sync() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    put(&store, b"a");
    store.sync().unwrap();
    for key in 0..200u8 {
        put(&store, &[b'b', key]);
    }
    let crashed = crash(directory.path());
    let reopened = open(crashed.path());
    assert_eq!(reopened.size().unwrap().entries, 1);
    // What is written after a crash survives the next one.
    put(&reopened, b"c");
    reopened.sync().unwrap();
    put(&reopened, b"d");
    let crashed = crash(crashed.path());
    let read = open(crashed.path()).read().unwrap();
    let there = [b"a", b"c", b"d"].map(|key| read.get(key).unwrap().is_some());
    assert_eq!(there, [true, true, false]);
}

#[test]
fn a_torn_slot_of_the_anchor_leaves_the_state_before() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for key in [b"a", b"b", b"c"] {
        put(&store, key);
        store.sync().unwrap();
    }
    let bytes = std::fs::read(directory.path().join("anchor")).unwrap();
    let mut found: Vec<u64> = [0, bytes.len() / 2]
        .iter()
        .map(|at| {
            let crashed = crash(directory.path());
            let mut torn = bytes.clone();
            torn[at + 200..at + 300].fill(0xff);
            std::fs::write(crashed.path().join("anchor"), torn).unwrap();
            open(crashed.path()).size().unwrap().entries
        })
        .collect();
    found.sort_unstable();
    assert_eq!(found, [2, 3]);
}

#[test]
fn a_torn_meta_page_beside_the_anchored_one_is_mended() {
    use std::os::unix::fs::FileExt;
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    put(&store, b"a");
    store.sync().unwrap();
    put(&store, b"b");
    for slot in 0..2 {
        let crashed = crash(directory.path());
        let data = std::fs::OpenOptions::new()
            .write(true)
            .open(crashed.path().join("data.mdb"))
            .unwrap();
        data.write_all_at(&[0xff; 4096], slot * 4096).unwrap();
        assert_eq!(open(crashed.path()).size().unwrap().entries, 1);
    }
}

#[test]
fn a_store_without_its_anchor_or_with_a_damaged_one_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()));
    let refused = |directory: &std::path::Path| {
        let opened = LmdbStore::open(directory, LmdbOptions::default());
        opened.err().expect("it is refused").to_string()
    };
    let (without, altered, alone) = (
        crash(directory.path()),
        crash(directory.path()),
        crash(directory.path()),
    );
    std::fs::remove_file(without.path().join("anchor")).unwrap();
    assert!(refused(without.path()).contains("`anchor` beside data.mdb is missing"));
    let mut bytes = std::fs::read(altered.path().join("anchor")).unwrap();
    let second = bytes.len() / 2;
    bytes[100] ^= 1;
    bytes[second + 100] ^= 1;
    std::fs::write(altered.path().join("anchor"), bytes).unwrap();
    assert!(refused(altered.path()).contains("checksum"));
    std::fs::remove_file(alone.path().join("data.mdb")).unwrap();
    assert!(refused(alone.path()).contains("`data.mdb` beside `anchor` is missing"));
}

#[test]
fn a_shortened_store_is_refused_and_a_longer_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    (0..200u8).for_each(|key| put(&store, &[key]));
    store.sync().unwrap();
    drop(store);
    let path = directory.path().join("data.mdb");
    let whole = std::fs::read(&path).unwrap();
    for length in [0, 4096, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        let refused = LmdbStore::open(directory.path(), LmdbOptions::default());
        let said = refused.err().unwrap().to_string();
        assert!(said.contains(&path.display().to_string()), "{length}: {said}");
    }
    // What a crash leaves behind the synced pages is no damage.
    let longer = [&whole[..], &[7; 8192]].concat();
    std::fs::write(&path, longer).unwrap();
    assert_eq!(open(directory.path()).size().unwrap().entries, 200);
}

/// Runs as the child of the next test: loads and switches for ever, each time with another byte.
#[test]
fn child_that_loads_for_ever() {
    let Ok(directory) = std::env::var("GEODE_STORE_CHILD") else {
        return;
    };
    let store = open(directory.as_ref());
    println!("ready");
    for round in 0u64.. {
        let mut loader = store.load().unwrap();
        let value = [round as u8; 8192];
        for number in 0..3000u32 {
            loader.put(&number.to_be_bytes(), &value).unwrap();
        }
        loader.finish().unwrap();
    }
}

#[test]
fn a_process_killed_while_loading_leaves_one_whole_state() {
    let directory = tempfile::tempdir().unwrap();
    let mut seen = 0;
    for kill_after in [30, 75, 120, 210, 330, 470] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child_that_loads_for_ever", "--exact", "--nocapture"])
            .env("GEODE_STORE_CHILD", directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = child.stdout.take().unwrap();
        let mut text = String::new();
        while !text.contains("ready") {
            let mut byte = [0];
            output.read_exact(&mut byte).unwrap();
            text.push(char::from(byte[0]));
        }
        std::thread::sleep(std::time::Duration::from_millis(kill_after));
        child.kill().unwrap();
        child.wait().unwrap();
        let store = open(directory.path());
        let read = store.read().unwrap();
        let values: Vec<u8> = read
            .range(&[0], None)
            .unwrap()
            .map(|entry| entry.unwrap().1[0])
            .collect();
        assert!(
            values.is_empty() || values.len() == 3000,
            "{} entries after {kill_after} ms",
            values.len()
        );
        assert!(
            values.iter().all(|value| *value == values[0]),
            "a mixture after {kill_after} ms"
        );
        seen += values.len();
    }
    assert!(seen > 0, "no load ever finished: the test shows nothing");
}

/// Set in the process that has a small volume of its own.
const SMALL_VOLUME: &str = "GEODE_TEST_SMALL_VOLUME";

/// Runs a test again in a process that has a volume of so many MiB, and there gives it that.
fn small_volume(name: &str, mebibytes: u32) -> Option<PathBuf> {
    if let Ok(volume) = std::env::var(SMALL_VOLUME) {
        return Some(volume.into());
    }
    let volume = tempfile::tempdir().unwrap();
    let mounted = format!(
        "mount -t tmpfs -o size={mebibytes}m tmpfs '{0}' && exec \"$0\" --exact {name}",
        volume.path().display()
    );
    let status = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", &mounted])
        .arg(std::env::current_exe().unwrap())
        .env(SMALL_VOLUME, volume.path())
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
    None
}

#[test]
fn a_volume_that_fills_in_the_middle_of_a_commit_is_full_and_what_was_committed_stays() {
    let name = "a_volume_that_fills_in_the_middle_of_a_commit_is_full_and_what_was_committed_stays";
    if let Some(volume) = small_volume(name, 4) {
        fill_again_and_again(&volume);
    }
}

#[test]
fn a_volume_without_room_to_clear_what_a_load_left_is_full_and_the_load_begins_when_there_is_room() {
    let name =
        "a_volume_without_room_to_clear_what_a_load_left_is_full_and_the_load_begins_when_there_is_room";
    if let Some(volume) = small_volume(name, 48) {
        load_again_and_again(&volume);
    }
}

/// Begins to load with a few pages of room, more each time: what is written then to clear the rest of an earlier load fits in part.
fn load_again_and_again(volume: &Path) {
    let store = open(&volume.join("store"));
    put(&store, b"kept");
    // More than the loader writes at a time, so that some of it is committed when it breaks off. A value takes a page.
    let mut loader = store.load().unwrap();
    for number in 0..5000u32 {
        loader.put(&number.to_be_bytes(), &[7; 4000]).unwrap();
    }
    drop(loader);
    let filler = volume.join("filler");
    let mut refused = 0;
    for pages in 0..64 {
        let room = rustix::fs::statvfs(volume).unwrap();
        let filled = room.f_bavail.saturating_sub(pages) * room.f_frsize;
        std::fs::write(&filler, vec![0; filled as usize]).unwrap();
        let begun = store.load().map(drop);
        std::fs::remove_file(&filler).unwrap();
        match begun {
            Ok(()) => break,
            Err(error) => assert!(error.is_full(), "{pages} pages of room: {error}"),
        }
        refused += 1;
    }
    assert!((2..64).contains(&refused), "{refused} times");
    let mut loader = store.load().unwrap();
    loader.put(b"loaded", b"x").unwrap();
    assert_eq!(store.size().unwrap().entries, 1);
    loader.finish().unwrap();
    let read = store.read().unwrap();
    let there = [&b"kept"[..], b"loaded"].map(|key| read.get(key).unwrap().is_some());
    assert_eq!(there, [false, true]);
}

/// Commits of many sizes, so that some of them break off within a page.
fn fill_again_and_again(volume: &Path) {
    for round in 0..12u8 {
        let directory = volume.join(round.to_string());
        let store = open(&directory);
        let mut committed = 0u32;
        loop {
            let mut tx = store.write().unwrap();
            let mut put = || -> geode_store::Result<()> {
                for part in 0..30 + u32::from(round) {
                    let key = [&committed.to_be_bytes()[..], &part.to_be_bytes()].concat();
                    tx.put(&key, &vec![round; 700 + 13 * usize::from(round)])?;
                }
                Ok(())
            };
            match put().and_then(|()| tx.commit()) {
                Ok(()) => committed += 1,
                Err(error) => {
                    assert!(error.is_full(), "round {round}, commit {committed}: {error}");
                    break;
                }
            }
        }
        let read = store.read().unwrap();
        for commit in 0..committed {
            let key = [&commit.to_be_bytes()[..], &0u32.to_be_bytes()].concat();
            assert!(
                read.get(&key).unwrap().is_some(),
                "round {round}, commit {commit}"
            );
        }
        drop(read);
        drop(store);
        std::fs::remove_dir_all(directory).unwrap();
    }
}
