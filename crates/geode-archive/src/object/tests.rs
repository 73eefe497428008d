use super::*;
use crate::store::MemoryStore;
use tokio::io::AsyncReadExt;

const NAME: &str = "c/00000001/wal/0/a.seg";

fn keys(dir: &tempfile::TempDir, lines: &[(&str, char)]) -> PathBuf {
    let path = dir.path().join("keys");
    let lines: Vec<String> = lines
        .iter()
        .map(|(id, digit)| format!("{id} {}", digit.to_string().repeat(64)))
        .collect();
    std::fs::write(&path, lines.join("\n")).unwrap();
    path
}

fn decode(codec: &Codec, name: &str, stored: &[u8], chunk: usize) -> Result<Vec<u8>, DecodeError> {
    let (mut decoder, mut plain) = (Decoder::new(codec, name), Vec::new());
    for piece in stored.chunks(chunk) {
        decoder.push(piece, &mut plain)?;
    }
    let (bytes, sha256) = decoder.finish(&mut plain)?;
    assert_eq!((bytes, sha256), (plain.len() as u64, Sha256::of(&plain)));
    Ok(plain)
}

async fn stored(codec: &Codec, plain: &[u8]) -> Vec<u8> {
    let store = MemoryStore::new();
    let content = Content::from_bytes(plain.to_vec());
    assert_eq!(codec.put(&store, NAME, &content).await.unwrap().0, Put::Created);
    crate::store::get_small(&store, NAME, usize::MAX >> 1)
        .await
        .unwrap()
}

/// Every way to code.
fn codecs(dir: &tempfile::TempDir) -> Vec<Codec> {
    let keys = keys(dir, &[("2026", 'a')]);
    let mut all = vec![Codec::default()];
    for compression in Compression::ALL {
        for keys in [None, Some(keys.clone())] {
            all.push(Codec {
                compression: Some(compression),
                keys,
            });
        }
    }
    all
}

fn text(length: usize) -> Vec<u8> {
    (0..length)
        .map(|place| (place / 7 % 251) as u8 ^ (place / 1000) as u8)
        .collect()
}

#[tokio::test]
async fn what_is_coded_comes_back_whatever_its_size_and_however_it_arrives() {
    let dir = tempfile::tempdir().unwrap();
    for codec in codecs(&dir) {
        for length in [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, 2 * BLOCK_BYTES + 3] {
            let plain = text(length);
            let whole = stored(&codec, &plain).await;
            for chunk in [1000, whole.len().max(1)] {
                assert!(
                    decode(&codec, NAME, &whole, chunk).unwrap() == plain,
                    "{codec:?} {length}"
                );
            }
            let store = MemoryStore::new();
            let (coded, mut stream) = codec.encode_stream(&store, NAME, plain.as_slice(), 3).unwrap();
            let mut streamed = Vec::new();
            stream.read_to_end(&mut streamed).await.unwrap();
            assert!(
                decode(&codec, NAME, &streamed, 4096).unwrap() == plain,
                "{codec:?} {length}"
            );
            assert_eq!(coded.key.is_some(), codec.keys.is_some());
        }
    }
}

#[tokio::test]
async fn what_can_be_made_smaller_is_and_what_cannot_grows_by_little() {
    let dir = tempfile::tempdir().unwrap();
    let noise: Vec<u8> = (0..300_000).map(|_| rand::random()).collect();
    for codec in codecs(&dir) {
        let small = stored(&codec, &vec![7; 300_000]).await.len();
        let is_compressed = !matches!(codec.compression, None | Some(Compression::None));
        assert!((small < 30_000) == is_compressed, "{codec:?} {small}");
        assert!(
            stored(&codec, &noise).await.len() < noise.len() + 300,
            "{codec:?}"
        );
    }
}

#[tokio::test]
async fn a_flipped_bit_a_cut_or_an_addition_anywhere_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let plain = text(BLOCK_BYTES + 1000);
    for codec in codecs(&dir).into_iter().skip(1) {
        let whole = stored(&codec, &plain).await;
        if !whole.starts_with(&MAGIC) {
            continue;
        }
        let places = (8..300).chain((300..whole.len()).step_by(whole.len() / 40));
        for place in places.chain([whole.len() - 1]) {
            let mut bad = whole.clone();
            bad[place] ^= 1;
            assert!(
                decode(&codec, NAME, &bad, 70_000).is_err(),
                "{codec:?} byte {place}"
            );
        }
        for length in [8, 100, whole.len() / 2, whole.len() - 1] {
            let cut = decode(&codec, NAME, &whole[..length], 70_000);
            assert!(
                matches!(cut, Err(DecodeError::Truncated | DecodeError::Damaged(_))),
                "{length}"
            );
        }
        let longer = [whole.as_slice(), b"x"].concat();
        assert!(
            decode(&codec, NAME, &longer, 70_000)
                .unwrap_err()
                .to_string()
                .contains("follows its last block")
        );
        assert!(
            decode(&codec, "another/name", &whole, 70_000).is_err(),
            "it has the name of another object"
        );
    }
}

#[tokio::test]
async fn an_object_that_ends_after_a_whole_block_is_cut_off() {
    let codec = Codec {
        compression: Some(Compression::Lz4),
        keys: None,
    };
    let whole = stored(&codec, &text(BLOCK_BYTES)).await;
    // The last block is empty: a word and a checksum.
    let cut = &whole[..whole.len() - 8];
    assert!(matches!(
        decode(&codec, NAME, cut, 4096),
        Err(DecodeError::Truncated)
    ));
}

#[tokio::test]
async fn a_newer_format_is_said_to_be_newer() {
    let codec = Codec {
        compression: Some(Compression::Zstd),
        keys: None,
    };
    let mut newer = stored(&codec, b"plain").await;
    newer[8] = 2;
    let said = decode(&codec, NAME, &newer, 4096).unwrap_err().to_string();
    assert!(said.contains("format 2 is newer than 1"), "{said}");
}

#[tokio::test]
async fn after_a_rotation_old_objects_are_read_and_new_ones_have_the_new_key() {
    let dir = tempfile::tempdir().unwrap();
    let codec = Codec {
        compression: None,
        keys: Some(keys(&dir, &[("2025", 'a')])),
    };
    let old = stored(&codec, b"old").await;
    keys(&dir, &[("2026", 'b'), ("2025", 'a')]);
    let new = stored(&codec, b"new").await;
    assert_eq!(decode(&codec, NAME, &old, 100).unwrap(), b"old");
    assert_eq!(decode(&codec, NAME, &new, 100).unwrap(), b"new");
    for (stored, id, other) in [(&old, "2025", false), (&new, "2026", true)] {
        let holds = |id: &str| stored.windows(4).any(|window| window == id.as_bytes());
        assert!(holds(id) && holds("2026") == other, "the header names its key");
    }
    keys(&dir, &[("2026", 'b')]);
    let lost = decode(&codec, NAME, &old, 100).unwrap_err().to_string();
    assert!(
        lost.contains("the key 2025 (") && lost.contains("there are: 2026 ("),
        "{lost}"
    );
    let none = decode(&Codec::default(), NAME, &new, 100)
        .unwrap_err()
        .to_string();
    assert!(
        none.contains("the key 2026") && none.contains("no keys are given"),
        "{none}"
    );
}

#[tokio::test]
async fn the_same_content_is_the_same_however_it_is_coded_and_other_content_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let (content, other) = (Content::from_bytes("content"), Content::from_bytes("another"));
    // Who reads has the keys, whatever it would write.
    let readers = codecs(&dir);
    for (number, codec) in readers.iter().enumerate() {
        let store = MemoryStore::new();
        assert_eq!(codec.same_content(&store, NAME, &content).await.unwrap(), None);
        assert_eq!(codec.put(&store, NAME, &content).await.unwrap().0, Put::Created);
        for reader in &readers {
            if number > 0 && reader.keys.is_none() && codec.keys.is_some() {
                let error = reader.same_content(&store, NAME, &content).await.unwrap_err();
                assert_eq!(
                    (error.kind, error.reason()),
                    (ErrorKind::Key, "ArchiveKeyMissing")
                );
                continue;
            }
            assert_eq!(
                reader.put(&store, NAME, &content).await.unwrap().0,
                Put::SameContent,
                "{codec:?} {reader:?}"
            );
            assert_eq!(
                reader.put(&store, NAME, &other).await.unwrap().0,
                Put::Conflict,
                "{codec:?} {reader:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_sealed_object_gives_nothing_away_and_none_is_like_another() {
    let dir = tempfile::tempdir().unwrap();
    let codec = Codec {
        compression: Some(Compression::None),
        keys: Some(keys(&dir, &[("2026", 'a')])),
    };
    let plain = b"a secret that is long enough to be found".repeat(3);
    let (one, two) = (stored(&codec, &plain).await, stored(&codec, &plain).await);
    let hash = Sha256::of(&plain).0;
    for found in [&one, &two] {
        assert!(
            !found
                .windows(12)
                .any(|window| window == &plain[..12] || window == &hash[..12])
        );
    }
    // After magic, version, ciphers and size of blocks comes what was drawn.
    assert!(one[16..48] != two[16..48] && one[48..60] == two[48..60] && one[200..] != two[200..]);
}

#[tokio::test]
async fn a_large_content_is_coded_without_holding_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large");
    std::fs::write(&path, text(IN_MEMORY_MAX as usize + 5)).unwrap();
    let codec = Codec {
        compression: Some(Compression::Zstd),
        keys: Some(keys(&dir, &[("2026", 'a')])),
    };
    let content = Content::from_file(&path).await.unwrap();
    let store = MemoryStore::new();
    let (coded, file) = codec.encode(&store, NAME, &content).await.unwrap();
    assert!(file.is_some());
    assert_eq!(store.put_if_absent(NAME, &coded).await.unwrap(), Put::Created);
    let whole = crate::store::get_small(&store, NAME, usize::MAX >> 1)
        .await
        .unwrap();
    assert!(decode(&codec, NAME, &whole, 1 << 17).unwrap() == text(IN_MEMORY_MAX as usize + 5));
}

#[tokio::test]
async fn a_stream_of_many_blocks_holds_those_that_are_at_work_and_the_one_that_is_read() {
    const PARALLEL: usize = 2;
    let dir = tempfile::tempdir().unwrap();
    let path = keys(&dir, &[("2026", 'a')]);
    let key = KeyRing::read(&path).unwrap().current().clone();
    // Some shrink, and some do not.
    let noise: Vec<u8> = (0..BLOCK_BYTES).map(|_| rand::random()).collect();
    let plain = [text(3 * BLOCK_BYTES), noise.repeat(3), text(7 * BLOCK_BYTES + 1)].concat();
    for compression in Compression::ALL {
        let begun = Encoder::begin(NAME, compression, Some(&key), None);
        let bench = std::sync::Arc::new(bench::Bench::default());
        let blocks = Box::pin(encode::blocks_on(
            bench.clone(),
            begun,
            plain.as_slice(),
            PARALLEL,
        ));
        let mut streamed = Vec::new();
        let mut stream = tokio_util::io::StreamReader::new(blocks);
        stream.read_to_end(&mut streamed).await.unwrap();
        drop(stream);
        let (of_blocks, coded) = bench.at_rest();
        assert!(
            (1..=PARALLEL).contains(&of_blocks) && (1..=PARALLEL + 1).contains(&coded),
            "{compression:?}: {of_blocks} and {coded} buffers were made"
        );
        let codec = Codec {
            compression: None,
            keys: Some(path.clone()),
        };
        assert!(
            decode(&codec, NAME, &streamed, 1 << 17).unwrap() == plain,
            "{compression:?}"
        );
    }
}

#[tokio::test]
async fn a_source_that_breaks_breaks_the_stream() {
    let broken = tokio_util::io::StreamReader::new(futures::stream::iter([
        Ok(bytes::Bytes::from_static(b"abc")),
        Err(io::Error::other("broken")),
    ]));
    let store = MemoryStore::new();
    let codec = Codec::default();
    let (_, mut stream) = codec.encode_stream(&store, NAME, broken, 2).unwrap();
    let read = stream.read_to_end(&mut Vec::new()).await;
    assert_eq!(read.unwrap_err().to_string(), "broken");
}

#[test]
fn the_format_stays_what_it_is() {
    let (head, encoder) = Encoder::begin("a", Compression::None, None, Some((3, Sha256::of(b"abc"))));
    let mut whole = head;
    let mut block = Vec::new();
    encoder
        .block(0, b"abc", &mut encoder.shrinker(), &mut block)
        .unwrap();
    whole.append(&mut block);
    let expected = concat!(
        "47454f44454f424a",
        "0100",
        "00",
        "00",
        "00001000",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000",
        "00",
        "01",
        "0300000000000000",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    );
    assert_eq!(geode_types::hex(&whole[..98]), expected);
    assert_eq!(geode_types::hex(&whole[102..109]), "030000c0616263");
    assert_eq!(whole.len(), 113);
}
