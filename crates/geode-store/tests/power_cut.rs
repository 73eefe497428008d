//! What a power cut leaves of an LMDB store: a file system of its own in a loop device, written back in part and in any order, that then
//! stops as a machine stops (ext4's shutdown ioctl, without flushing its journal). Needs root, `mkfs.ext4` and loop devices.
//!
//! The same crash is looked at twice: with the anchor, when everything must be as it was at some commit after the last sync, and
//! without, to see that the test finds what it looks for.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use geode_store::{LmdbOptions, LmdbStore, Reader, Store, WriteTxn};
use heed::types::Bytes;
use heed::{CommitOrAbort, EnvFlags, EnvOpenOptions};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const ROUNDS: u64 = 6;
const IMAGE_BYTES: u64 = 192 << 20;
/// How long the store is written to before the power goes, milliseconds.
const LIFE_MILLIS: std::ops::Range<u64> = 300..900;
/// Entries of a commit, and how many commits' entries are kept: what is older is deleted, so that pages are reused all the time.
const COMMIT_ENTRIES: u64 = 12;
const KEPT_COMMITS: u64 = 200;
const COMMITS_PER_SYNC: u64 = 400;
const ROLE: &str = "GEODE_STORE_ROLE";
const DIRECTORY: &str = "GEODE_STORE_DIRECTORY";
/// `EXT4_IOC_SHUTDOWN` of linux/fs/ext4/ext4.h, and its `EXT4_GOING_FLAGS_NOLOGFLUSH`.
const SHUTDOWN: libc::Ioctl = 0x8004_587d_u32 as libc::Ioctl;
const WITHOUT_FLUSHING: u32 = 2;

/// Numbers by chance, the same for a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % bound
    }
}

fn key(commit: u64, entry: u64) -> [u8; 16] {
    // Spread over the tree, so that every commit touches many pages.
    let spread = (commit * COMMIT_ENTRIES + entry).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut key = [0; 16];
    key[..8].copy_from_slice(&spread.to_be_bytes());
    key[8..].copy_from_slice(&commit.to_be_bytes());
    key
}

fn value(commit: u64, entry: u64) -> Vec<u8> {
    vec![(commit ^ entry) as u8; 40 + (commit * 7 + entry * 131) as usize % 700]
}

const COUNTER: &[u8] = b"\0counter";

/// Whether these entries are those of a whole commit; its number.
fn check<'a>(entries: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Result<u64, String> {
    let (mut counter, mut found) = (None, 0);
    for (name, bytes) in entries {
        if name == COUNTER {
            counter = Some(u64::from_be_bytes(bytes.try_into().map_err(|_| "the counter")?));
            continue;
        }
        found += 1;
        let commit = u64::from_be_bytes(name[8..].try_into().map_err(|_| "a key")?);
        let same =
            (0..COMMIT_ENTRIES).any(|entry| key(commit, entry) == name && value(commit, entry) == bytes);
        if !same {
            return Err(format!("an entry of commit {commit} is not what was written"));
        }
    }
    let counter = counter.unwrap_or(0);
    let expected = counter.min(KEPT_COMMITS) * COMMIT_ENTRIES;
    if found != expected {
        return Err(format!("{found} entries after commit {counter}, not {expected}"));
    }
    Ok(counter)
}

fn write_for_ever(directory: &Path) {
    let store = LmdbStore::open(directory, LmdbOptions::default()).unwrap();
    for commit in 1.. {
        let mut tx = store.write().unwrap();
        for entry in 0..COMMIT_ENTRIES {
            tx.put(&key(commit, entry), &value(commit, entry)).unwrap();
            if commit > KEPT_COMMITS {
                assert!(tx.delete(&key(commit - KEPT_COMMITS, entry)).unwrap());
            }
        }
        tx.put(COUNTER, &commit.to_be_bytes()).unwrap();
        tx.commit().unwrap();
        if commit % COMMITS_PER_SYNC == 0 {
            store.sync().unwrap();
            println!("\nsynced {commit}");
        }
    }
}

/// On a line of its own: with one thread, the test runner has begun the line with the name of the test.
fn say_commit(commit: u64) {
    println!("\ncommit {commit}");
}

/// Plays the part that the test gives it in a process of its own.
#[test]
fn child() {
    let (Ok(role), Ok(directory)) = (std::env::var(ROLE), std::env::var(DIRECTORY)) else {
        return;
    };
    let directory = PathBuf::from(directory);
    match role.as_str() {
        "write" => write_for_ever(&directory),
        "with-anchor" => {
            let store = LmdbStore::open(&directory, LmdbOptions::default()).unwrap();
            let read = store.read().unwrap();
            let entries = read.range(&[0], None).unwrap().map(Result::unwrap);
            say_commit(check(entries).unwrap());
        }
        "without-anchor" => {
            let mut options = EnvOpenOptions::new();
            options.map_size(1 << 30).max_dbs(3);
            #[allow(unsafe_code, reason = "LMDB maps a file")]
            // SAFETY: nobody else has this copy.
            let env = unsafe { options.flags(EnvFlags::NO_SYNC).open(&directory) }.unwrap();
            let table = env
                .open_databases_and_commit(env.read_txn().unwrap(), |opener, txn| {
                    let table = opener.open_database::<Bytes, Bytes>(txn, Some("a"))?;
                    heed::Result::Ok(CommitOrAbort::<_, ()>::Commit(table))
                })
                .unwrap()
                .unwrap_commit()
                .unwrap();
            let txn = env.read_txn().unwrap();
            let entries: Vec<_> = table.iter(&txn).unwrap().map(Result::unwrap).collect();
            say_commit(check(entries.into_iter()).unwrap());
        }
        other => panic!("{other} is no role"),
    }
}

fn start(role: &str, directory: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture"])
        .env(ROLE, role)
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .stderr(if role == "with-anchor" {
            Stdio::inherit()
        } else {
            Stdio::null()
        })
        .spawn()
        .unwrap()
}

/// What a look at a store comes to: the commit that it is at, or nothing when it is damaged.
fn look(role: &str, directory: &Path) -> Option<u64> {
    let output = start(role, directory).wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("commit "));
    line.filter(|_| output.status.success())?.parse().ok()
}

/// A file system in a file.
struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let machine = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let image = machine.folder.path().join("image");
        File::create(&image).unwrap().set_len(IMAGE_BYTES).unwrap();
        run("mkfs.ext4", &["-q", "-F", &image.display().to_string()]);
        std::fs::create_dir(machine.mounted()).unwrap();
        machine.mount();
        machine
    }

    fn mounted(&self) -> PathBuf {
        self.folder.path().join("mounted")
    }

    fn store(&self) -> PathBuf {
        self.mounted().join("store")
    }

    /// In a loop device of its own each time: in the one from before, the kernel may still have the file system that was stopped.
    fn mount(&self) {
        let (image, at) = (self.folder.path().join("image"), self.mounted());
        let made = Command::new("losetup")
            .args(["--find", "--show"])
            .arg(&image)
            .output();
        let made = made.expect("losetup starts");
        let device = String::from_utf8_lossy(&made.stdout).trim().to_owned();
        assert!(
            !device.is_empty(),
            "losetup: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        run("mount", &[&device, &at.display().to_string()]);
        // It goes with the mount.
        run("losetup", &["--detach", &device]);
    }

    fn unmount(&self) {
        run("umount", &[&self.mounted().display().to_string()]);
    }

    /// What was not written back is lost from here on.
    fn cut_power(&self) {
        let (root, how) = (File::open(self.mounted()).unwrap(), WITHOUT_FLUSHING);
        #[allow(unsafe_code, reason = "there is no other way to this ioctl")]
        // SAFETY: the ioctl reads one u32.
        let done = unsafe { libc::ioctl(root.as_raw_fd(), SHUTDOWN, &raw const how) };
        assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg(self.mounted())
            .stderr(Stdio::null())
            .status();
    }
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status();
    let done = status.as_ref().is_ok_and(std::process::ExitStatus::success);
    assert!(
        done,
        "{program} {arguments:?}: {status:?}; this test needs root, mkfs.ext4 and loop devices"
    );
}

/// Has the system write back some of what is dirty, as it does by itself at any time: often the meta pages, which is the worst case, as they
/// name pages that are not on the disk yet.
fn write_back_some(data: &File, dice: &mut Dice) {
    let pages = data.metadata().unwrap().len() / 4096 + 1;
    let (from, length) = match dice.below(8) {
        0 => (0, 2 * 4096),
        _ => (dice.below(pages) * 4096, (1 + dice.below(24)) * 4096),
    };
    #[allow(unsafe_code, reason = "there is no other way to this call")]
    // SAFETY: it takes numbers.
    unsafe {
        libc::sync_file_range(
            data.as_raw_fd(),
            from as libc::off64_t,
            length as libc::off64_t,
            libc::SYNC_FILE_RANGE_WRITE,
        );
    }
}

/// Lets a store live and die; the last commit that was said to be synced.
fn live_and_die(machine: &Machine, dice: &mut Dice) -> u64 {
    let mut writer = start("write", &machine.store());
    let (sender, said) = mpsc::channel();
    let output = writer.stdout.take().unwrap();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if let Some(commit) = line.strip_prefix("synced ") {
                let _ = sender.send(commit.parse::<u64>().unwrap());
            }
        }
    });
    let mut synced = said.recv_timeout(Duration::from_secs(30)).expect("it syncs");
    let data = File::open(machine.store().join("data.mdb")).unwrap();
    let life = Duration::from_millis(LIFE_MILLIS.start + dice.below(LIFE_MILLIS.end - LIFE_MILLIS.start));
    let began = Instant::now();
    while began.elapsed() < life {
        write_back_some(&data, dice);
    }
    // What was said before the cut counts.
    synced = said.try_iter().last().unwrap_or(synced);
    machine.cut_power();
    writer.kill().unwrap();
    writer.wait().unwrap();
    synced
}

#[test]
fn after_a_power_cut_the_store_is_whole_and_has_what_was_synced() {
    let seed = match std::env::var("GEODE_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => u64::from(std::process::id()),
    };
    println!(
        "GEODE_SEED={seed} draws the same times and pages; what the system writes back by itself is its own"
    );
    let mut dice = Dice(seed);
    let mut damaged_without = 0;
    for round in 0..ROUNDS {
        let machine = Machine::new();
        let synced = live_and_die(&machine, &mut dice);
        machine.unmount();
        machine.mount();
        let copy = tempfile::tempdir().unwrap();
        std::fs::copy(machine.store().join("data.mdb"), copy.path().join("data.mdb")).unwrap();
        damaged_without += u64::from(look("without-anchor", copy.path()).is_none());
        let commit = look("with-anchor", &machine.store());
        let commit =
            commit.unwrap_or_else(|| panic!("GEODE_SEED={seed}, round {round}: the store is damaged"));
        assert!(
            commit >= synced,
            "GEODE_SEED={seed}, round {round}: it is at commit {commit}, but {synced} was synced"
        );
    }
    println!("without its anchor the store was damaged after {damaged_without} of {ROUNDS} cuts");
    assert!(
        damaged_without > 0,
        "without its anchor the store was whole after each of {ROUNDS} cuts: the test shows nothing"
    );
}
