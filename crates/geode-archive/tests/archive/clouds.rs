//! Google's and Azure's object stores as far as the archive asks them something: servers on loopback that keep objects in memory and answer as
//! the two services document it. The real ones have never been asked.

use crate::http::{Answer, Request, decode, serve};
use crate::stores::conforms;
use geode_archive::{Cloud, CloudOptions, CloudStore, Content, ErrorKind, ObjectStore, Put};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex};
use tokio::io::AsyncReadExt;

const BUCKET: &str = "wal";
const STORED_AT: &str = "Wed, 21 Oct 2026 07:28:00 GMT";
/// So that a listing has several pages.
const PAGE: usize = 3;
/// The key of an account, as Azure writes it.
const ACCOUNT_KEY: &str = "c2VjcmV0LWtleQ==";

/// What a service has.
#[derive(Default)]
struct State {
    objects: BTreeMap<String, Object>,
    /// Parts that belong to no object yet: of an upload of Google, of a blob of Azure, by their numbers or ids.
    parts: BTreeMap<(String, String), Vec<u8>>,
    uploads: u64,
    /// The status of every answer.
    refuses: Option<u16>,
}

#[derive(Clone, Default)]
struct Object {
    bytes: Vec<u8>,
    /// Headers that were stored with it.
    metadata: Vec<(String, String)>,
}

fn metadata(request: &Request, prefix: &str) -> Vec<(String, String)> {
    let headers = request.headers.iter();
    let ours = headers.filter(|(name, _)| name.starts_with(prefix));
    ours.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// GET and HEAD, whole or from somewhere on.
fn read(object: &Object, request: &Request) -> Answer {
    let length = object.bytes.len();
    let range = request
        .headers
        .get("range")
        .and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let mut answer = match range {
        None => Answer::new(200, object.bytes.clone()),
        Some((first, last)) => {
            let first: usize = first.parse().unwrap();
            let last = last.parse::<usize>().unwrap_or(length).min(length.max(1) - 1);
            if first >= length {
                return Answer::new(416, "");
            }
            Answer::new(206, &object.bytes[first..=last])
                .with("content-range", format!("bytes {first}-{last}/{length}"))
        }
    };
    answer = answer.with("etag", "\"1\"").with("last-modified", STORED_AT);
    for (name, value) in &object.metadata {
        answer = answer.with(name, value);
    }
    answer
}

/// The next keys of a listing, and the last of them when there are more.
fn page(state: &State, prefix: &str, after: &str) -> (Vec<(String, usize)>, Option<String>) {
    let wanted = state
        .objects
        .iter()
        .filter(|(key, _)| key.starts_with(prefix) && key.as_str() > after);
    let mut found: Vec<_> = wanted
        .map(|(key, object)| (key.clone(), object.bytes.len()))
        .collect();
    let more = found.len() > PAGE;
    found.truncate(PAGE);
    let last = found.last().filter(|_| more).map(|(key, _)| key.clone());
    (found, last)
}

/// Google's XML API.
fn google(state: &mut State, request: &Request) -> Answer {
    let path = request.path.trim_start_matches('/');
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let query = |name: &str| request.query.get(name).map(String::as_str);
    if bucket != BUCKET {
        return Answer::new(404, "<Error><Code>NoSuchBucket</Code></Error>");
    }
    let created = || Answer::new(200, "").with("etag", "\"1\"");
    match (request.method.as_str(), query("uploadId")) {
        ("GET", _) if key.is_empty() => {
            let after = query("start-after").unwrap_or_default();
            let after = query("continuation-token").unwrap_or(after);
            let (found, more) = page(state, query("prefix").unwrap_or_default(), after);
            let mut xml = "<ListBucketResult>".to_owned();
            for (key, bytes) in found {
                write!(
                    xml,
                    "<Contents><Key>{key}</Key><Size>{bytes}</Size><LastModified>2026-10-21T07:28:00Z</LastModified></Contents>"
                )
                .unwrap();
            }
            if let Some(more) = more {
                write!(xml, "<NextContinuationToken>{more}</NextContinuationToken>").unwrap();
            }
            Answer::new(200, xml + "</ListBucketResult>")
        }
        ("POST", None) => {
            state.uploads += 1;
            let id = format!("upload-{}", state.uploads);
            let xml = format!(
                "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
            );
            Answer::new(200, xml)
        }
        ("PUT", Some(upload)) => {
            let number: u32 = query("partNumber").unwrap().parse().unwrap();
            let part = (upload.to_owned(), format!("{number:05}"));
            state.parts.insert(part, request.body.clone());
            created()
        }
        ("POST", Some(upload)) => {
            let mut object = Object::default();
            for ((of, _), part) in &state.parts {
                if of == upload {
                    object.bytes.extend_from_slice(part);
                }
            }
            state.parts.retain(|(of, _), _| of != upload);
            state.objects.insert(key.to_owned(), object);
            let xml = "<CompleteMultipartUploadResult><ETag>\"1\"</ETag></CompleteMultipartUploadResult>";
            Answer::new(200, xml)
        }
        ("DELETE", Some(upload)) => {
            state.parts.retain(|(of, _), _| of != upload);
            Answer::new(204, "")
        }
        ("PUT", None) => {
            let is_first = request.headers.get("x-goog-if-generation-match");
            if is_first.is_some_and(|generation| generation == "0") && state.objects.contains_key(key) {
                return Answer::new(412, "<Error><Code>PreconditionFailed</Code></Error>");
            }
            let object = Object {
                bytes: request.body.clone(),
                metadata: metadata(request, "x-goog-meta-"),
            };
            state.objects.insert(key.to_owned(), object);
            created()
        }
        ("DELETE", None) if state.objects.remove(key).is_some() => Answer::new(204, ""),
        ("GET" | "HEAD", None) if state.objects.contains_key(key) => read(&state.objects[key], request),
        _ => Answer::new(404, "<Error><Code>NoSuchKey</Code></Error>"),
    }
}

/// Azure's Blob service.
fn azure(state: &mut State, request: &Request) -> Answer {
    let path = request.path.trim_start_matches('/');
    let (container, key) = path.split_once('/').unwrap_or((path, ""));
    let comp = request.query.get("comp").map(String::as_str);
    if container != BUCKET {
        let xml = "<Error><Code>ContainerNotFound</Code></Error>";
        return Answer::new(404, xml).with("x-ms-error-code", "ContainerNotFound");
    }
    let created = || {
        Answer::new(201, "")
            .with("etag", "\"1\"")
            .with("last-modified", STORED_AT)
    };
    let object = |bytes| Object {
        bytes,
        metadata: metadata(request, "x-ms-meta-"),
    };
    match (request.method.as_str(), comp) {
        ("GET", Some("list")) => azure_list(state, request),
        ("POST", Some("batch")) => azure_batch(state, request),
        ("PUT", Some("block")) => {
            let block = (key.to_owned(), request.query["blockid"].clone());
            state.parts.insert(block, request.body.clone());
            created()
        }
        ("PUT", Some("blocklist")) => {
            let list = String::from_utf8(request.body.clone()).unwrap();
            let mut bytes = Vec::new();
            for id in list.split("<Uncommitted>").skip(1) {
                let id = id.split_once('<').unwrap().0;
                bytes.extend(state.parts.remove(&(key.to_owned(), id.to_owned())).unwrap());
            }
            state.objects.insert(key.to_owned(), object(bytes));
            created()
        }
        ("PUT", None) => {
            let only_first = request.headers.get("if-none-match").is_some_and(|tag| tag == "*");
            if only_first && state.objects.contains_key(key) {
                return Answer::new(409, "<Error><Code>BlobAlreadyExists</Code></Error>");
            }
            state.objects.insert(key.to_owned(), object(request.body.clone()));
            created()
        }
        ("DELETE", None) if state.objects.remove(key).is_some() => Answer::new(202, ""),
        ("GET" | "HEAD", None) if state.objects.contains_key(key) => read(&state.objects[key], request),
        _ => Answer::new(404, "<Error><Code>BlobNotFound</Code></Error>")
            .with("x-ms-error-code", "BlobNotFound"),
    }
}

fn azure_list(state: &State, request: &Request) -> Answer {
    let query = |name: &str| request.query.get(name).map_or("", String::as_str);
    let (mut found, more) = page(state, query("prefix"), query("marker").max(query("startFrom")));
    // It begins with the key itself.
    if let Some(object) = state.objects.get(query("startFrom")) {
        found.insert(0, (query("startFrom").to_owned(), object.bytes.len()));
    }
    let mut xml = "<EnumerationResults><Blobs>".to_owned();
    for (key, bytes) in found {
        write!(
            xml,
            "<Blob><Name>{key}</Name><Properties><Last-Modified>{STORED_AT}</Last-Modified><Content-Length>{bytes}</Content-Length>\
             <Content-Type>application/octet-stream</Content-Type><Etag>1</Etag></Properties></Blob>"
        )
        .unwrap();
    }
    let more = more.unwrap_or_default();
    Answer::new(
        200,
        xml + "</Blobs><NextMarker>" + &more + "</NextMarker></EnumerationResults>",
    )
}

/// Several deletions in one request, as lines `DELETE /container/blob HTTP/1.1`.
fn azure_batch(state: &mut State, request: &Request) -> Answer {
    let body = String::from_utf8(request.body.clone()).unwrap();
    let mut parts = String::new();
    let lines = body.lines().filter_map(|line| line.strip_prefix("DELETE /"));
    for (number, line) in lines.enumerate() {
        let path = decode(line.split(' ').next().unwrap());
        let key = path.strip_prefix(BUCKET).unwrap().trim_start_matches('/');
        let said = match state.objects.remove(key) {
            Some(_) => "202 Accepted",
            None => "404 Missing",
        };
        write!(
            parts,
            "--part\r\nContent-Type: application/http\r\nContent-ID: {number}\r\n\r\nHTTP/1.1 {said}\r\nx-ms-version: 1\r\n\r\n\r\n"
        )
        .unwrap();
    }
    Answer::new(202, parts + "--part--\r\n").with("content-type", "multipart/mixed; boundary=part")
}

/// A service, and how it is entered.
struct Service {
    state: Arc<Mutex<State>>,
    options: CloudOptions,
    credentials: tempfile::TempDir,
}

impl Service {
    async fn start(cloud: Cloud) -> Self {
        let state: Arc<Mutex<State>> = Arc::default();
        let (kept, answers) = (
            state.clone(),
            match cloud {
                Cloud::Google => google,
                Cloud::Azure { .. } => azure,
            },
        );
        let endpoint = serve(move |request| {
            let mut state = kept.lock().unwrap();
            match state.refuses {
                Some(status) => Answer::new(status, "<Error><Code>No</Code></Error>"),
                None => answers(&mut state, &request),
            }
        })
        .await;
        let credentials = tempfile::tempdir().unwrap();
        let key = format!(
            r#"{{"gcs_base_url": "{endpoint}", "disable_oauth": true, "client_email": "a@b", "private_key": "", "private_key_id": ""}}"#
        );
        std::fs::write(credentials.path().join("credentials.json"), key).unwrap();
        std::fs::write(credentials.path().join("account-key"), ACCOUNT_KEY).unwrap();
        let mut options = CloudOptions::new(cloud, BUCKET, "");
        options.endpoint = Some(endpoint);
        options.credentials = Some(credentials.path().to_owned());
        Self {
            state,
            options,
            credentials,
        }
    }

    async fn both() -> [Self; 2] {
        let azure = Cloud::Azure {
            account: Some("backups".to_owned()),
        };
        [Self::start(Cloud::Google).await, Self::start(azure).await]
    }

    fn store(&self, bucket: &str, prefix: &str) -> CloudStore {
        let options = CloudOptions {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            ..self.options.clone()
        };
        CloudStore::new(options)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_on_a_fake_of_google_and_one_of_azure_conforms() {
    for service in Service::both().await {
        conforms(&service.store(BUCKET, "deep/prefix")).await;
        conforms(&service.store(BUCKET, "")).await;
        let parts = service.state.lock().unwrap().parts.len();
        let is_google = service.options.cloud == Cloud::Google;
        assert!(
            parts == 0 || !is_google,
            "{parts} parts of broken uploads stay behind"
        );
    }
}

#[tokio::test]
async fn a_part_of_an_object_is_read_and_when_it_was_stored_is_known() {
    for service in Service::both().await {
        let store = service.store(BUCKET, "p");
        let content = Content::from_bytes("0123456789");
        assert_eq!(store.put_if_absent("k", &content).await.unwrap(), Put::Created);
        let mut bytes = Vec::new();
        let mut part = store.get_range("k", 3, Some(4)).await.unwrap();
        part.read_to_end(&mut bytes).await.unwrap();
        assert_eq!(bytes, b"3456");
        let at = store.stored_at("k").await.unwrap().unwrap();
        assert_eq!(at.to_string(), "2026-10-21T07:28:00Z");
        assert!(store.url("k").ends_with("://wal/p/k"), "{}", store.url("k"));
    }
}

#[tokio::test]
async fn what_a_cloud_refuses_is_said_and_what_may_pass_is_worth_another_try() {
    let content = Content::from_bytes("x");
    for service in Service::both().await {
        let store = service.store(BUCKET, "");
        for (status, kind) in [
            (403, ErrorKind::Denied),
            (401, ErrorKind::Denied),
            (503, ErrorKind::Unavailable),
            (500, ErrorKind::Unavailable),
        ] {
            service.state.lock().unwrap().refuses = Some(status);
            let put = store.put_if_absent("k", &content).await.unwrap_err();
            let listed = store.list("", "").await.unwrap_err();
            assert_eq!((put.kind, listed.kind), (kind, kind), "{put}; {listed}");
        }
        service.state.lock().unwrap().refuses = None;
        let no_bucket = service.store("other", "").head("k").await;
        let no_list = service.store("other", "").list("", "").await.unwrap_err();
        assert_eq!(no_list.kind, ErrorKind::Unavailable, "{no_list}");
        // An answer to HEAD has no body that names the bucket.
        assert!(matches!(no_bucket, Ok(None)) || no_bucket.is_err());
        let no_put = service.store("other", "").put_if_absent("k", &content).await;
        assert_eq!(no_put.unwrap_err().kind, ErrorKind::Unavailable);
        std::fs::remove_file(service.credentials.path().join("credentials.json")).unwrap();
        std::fs::remove_file(service.credentials.path().join("account-key")).unwrap();
        let no_key = store.head("k").await.unwrap_err();
        assert_eq!(no_key.kind, ErrorKind::Denied, "{no_key}");
    }
}
