use super::*;

fn header() -> Header {
    Header {
        cluster: ClusterId(uuid::Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff)),
        group: GroupId(0),
        first: LogIndex(7),
        previous_term: Term(2),
    }
}

fn record(term: u64, index: u64, kind: RecordKind, payload: &'static [u8]) -> Record {
    Record {
        position: Position {
            term: Term(term),
            index: LogIndex(index),
        },
        kind,
        payload: Bytes::from_static(payload),
    }
}

fn sealed() -> Vec<u8> {
    let records = [
        record(3, 7, RecordKind::Blank, b""),
        record(3, 8, RecordKind::Command, b"hello"),
        record(4, 9, RecordKind::Cut, &[1, 2, 3]),
    ];
    let mut bytes = header().encode().to_vec();
    for record in &records {
        record.encode(&mut bytes);
    }
    let footer = Footer {
        count: 3,
        last: records[2].position,
        content_hash: xxhash_rust::xxh3::xxh3_64(&bytes),
    };
    bytes.extend_from_slice(&footer.encode());
    bytes
}

#[test]
fn the_bytes_of_a_segment_are_those_of_the_format_document() {
    let golden = include_str!("golden.hex");
    let golden: String = golden.split_whitespace().collect();
    assert_eq!(geode_types::hex(&sealed()), golden);
}

#[test]
fn a_sealed_segment_reads_back() {
    let bytes = sealed();
    let mut reader = SegmentReader::new(bytes.as_slice()).unwrap();
    assert_eq!(reader.header().previous().unwrap().index, LogIndex(6));
    let records: Vec<_> = reader.by_ref().map(Result::unwrap).collect();
    assert_eq!(records.len(), 3);
    assert_eq!(records[1].payload, Bytes::from_static(b"hello"));
    assert_eq!(reader.footer().unwrap().last, records[2].position);
}

#[test]
fn a_change_of_any_byte_or_length_is_noticed() {
    let sound = sealed();
    for at in 0..sound.len() {
        let mut bytes = sound.clone();
        bytes[at] ^= 1;
        let read = SegmentReader::new(bytes.as_slice()).and_then(SegmentReader::verify);
        assert!(read.is_err(), "byte {at}");
    }
    for length in 0..sound.len() {
        let read = SegmentReader::new(&sound[..length]).and_then(SegmentReader::verify);
        assert!(read.is_err(), "length {length}");
    }
    let mut longer = sound;
    longer.push(0);
    assert!(
        SegmentReader::new(longer.as_slice())
            .and_then(SegmentReader::verify)
            .is_err()
    );
}

#[test]
fn a_file_name_reads_what_it_prints_and_refuses_the_rest() {
    for name in [
        SegmentName::Open(LogIndex(3)),
        SegmentName::Sealed(LogIndex(0), LogIndex(4095)),
    ] {
        assert_eq!(SegmentName::parse(&name.to_string()), Some(name));
    }
    for bad in [
        "1.open",
        "vote",
        "00000000000000000000.seg",
        "0000000000000000000x.open",
        "",
    ] {
        assert_eq!(SegmentName::parse(bad), None, "{bad}");
    }
}
