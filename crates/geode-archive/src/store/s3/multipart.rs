//! Storing a stream of unknown length: one `PutObject` when it fits a part, a multipart upload otherwise. Memory holds one part.
//!
//! An upload that fails is aborted; one whose process died is found and aborted before a later upload of the same folder begins.

use super::errors::Refusal;
use super::{ANSWER_TIMEOUT, Act, S3Store, base64, upload_time};
use crate::content::{Content, HashingReader, Sha256};
use crate::store::parts::{PARTS_MAX, Part, Parts};
use crate::store::{ErrorKind, ObjectError, Stored};
use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use std::time::{Duration, SystemTime};
use tokio::io::AsyncRead;

/// A part is sent this often before the upload is given up.
const PART_ATTEMPTS: u32 = 5;
const PART_PAUSE: Duration = Duration::from_millis(500);

pub(super) async fn put_stream(
    store: &S3Store,
    key: &str,
    body: &mut (dyn AsyncRead + Send + Unpin),
) -> Result<Stored, ObjectError> {
    let act = store.act("write", key);
    let mut parts = Parts::new(HashingReader::new(body));
    let first = read_part(&act, &mut parts).await?;
    if first.is_last {
        let content = Content::from_bytes(first.bytes.clone());
        let stored = Box::pin(store.put_once(key, &content, ByteStream::from(first.bytes))).await?;
        stored.ok_or_else(|| taken(&act))?;
        return Ok(Stored {
            bytes: content.bytes(),
            sha256: content.sha256(),
        });
    }
    let client = store.client(&act).await?;
    abort_leftovers(store, &client, key).await;
    let upload = Upload::begin(&act, client).await?;
    match upload.run(first, &mut parts).await {
        Ok(()) => {
            let (bytes, sha256) = parts.into_body().finish();
            Ok(Stored { bytes, sha256 })
        }
        Err(error) => {
            upload.abort().await;
            Err(error)
        }
    }
}

fn taken(act: &Act<'_>) -> ObjectError {
    act.error(ErrorKind::Unavailable, "something else is stored under this key")
}

async fn read_part(act: &Act<'_>, parts: &mut Parts<impl AsyncRead + Unpin>) -> Result<Part, ObjectError> {
    let read = parts.read().await;
    read.map_err(|error| act.error(ErrorKind::Local, error))
}

struct Upload<'a> {
    act: &'a Act<'a>,
    client: Client,
    id: String,
}

impl<'a> Upload<'a> {
    async fn begin(act: &'a Act<'a>, client: Client) -> Result<Self, ObjectError> {
        let request = client
            .create_multipart_upload()
            .bucket(&act.store.options.bucket)
            .key(act.store.key(act.key))
            .set_storage_class(act.store.storage_class())
            .checksum_algorithm(ChecksumAlgorithm::Sha256);
        let answer = act
            .within(ANSWER_TIMEOUT, request.send())
            .await
            .map_err(|refused| plain(act, refused))?;
        let id = answer.upload_id().unwrap_or_default().to_owned();
        Ok(Self { act, client, id })
    }

    /// Sends the parts and completes; nothing is visible before that.
    async fn run(&self, first: Part, parts: &mut Parts<impl AsyncRead + Unpin>) -> Result<(), ObjectError> {
        let mut done = Vec::new();
        let mut part = first;
        loop {
            if !part.bytes.is_empty() {
                if done.len() == PARTS_MAX {
                    let detail = format!("it is larger than {PARTS_MAX} parts");
                    return Err(self.act.error(ErrorKind::Local, detail));
                }
                let number = done.len() as i32 + 1;
                done.push(self.send_part(number, &part.bytes).await?);
            }
            if part.is_last {
                return self.complete(done).await;
            }
            parts.reuse(part);
            part = read_part(self.act, parts).await?;
        }
    }

    async fn send_part(&self, number: i32, part: &Bytes) -> Result<CompletedPart, ObjectError> {
        let hash = base64(&Sha256::of(part));
        let mut attempt = 1;
        loop {
            let request = self
                .client
                .upload_part()
                .bucket(&self.act.store.options.bucket)
                .key(self.act.store.key(self.act.key))
                .upload_id(&self.id)
                .part_number(number)
                .content_length(part.len() as i64)
                .checksum_sha256(&hash)
                .body(ByteStream::from(part.clone()));
            match self
                .act
                .within(upload_time(part.len() as u64), request.send())
                .await
            {
                Ok(answer) => {
                    let part = CompletedPart::builder().part_number(number).checksum_sha256(hash);
                    return Ok(part.set_e_tag(answer.e_tag().map(str::to_owned)).build());
                }
                Err(refused) => {
                    let error = plain(self.act, refused);
                    if error.kind != ErrorKind::Unavailable || attempt == PART_ATTEMPTS {
                        return Err(error);
                    }
                    tracing::warn!(%error, number, attempt, "a part will be sent again");
                    tokio::time::sleep(PART_PAUSE * 2u32.pow(attempt - 1)).await;
                    attempt += 1;
                }
            }
        }
    }

    async fn complete(&self, parts: Vec<CompletedPart>) -> Result<(), ObjectError> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let request = self
            .client
            .complete_multipart_upload()
            .bucket(&self.act.store.options.bucket)
            .key(self.act.store.key(self.act.key))
            .upload_id(&self.id)
            .if_none_match("*")
            .multipart_upload(parts);
        let limit = ANSWER_TIMEOUT * 8; // The server puts the parts together.
        let answer = self.act.within(limit, request.send()).await;
        answer.map(|_| ()).map_err(|refused| plain(self.act, refused))
    }

    /// Best effort: what stays is found by [`abort_leftovers`].
    async fn abort(&self) {
        let request = self
            .client
            .abort_multipart_upload()
            .bucket(&self.act.store.options.bucket)
            .key(self.act.store.key(self.act.key))
            .upload_id(&self.id);
        if let Err(Refusal::Error(error)) = self.act.within(ANSWER_TIMEOUT, request.send()).await {
            tracing::warn!(%error, "a failed upload could not be aborted; the next one tries again");
        }
    }
}

fn plain(act: &Act<'_>, refused: Refusal) -> ObjectError {
    match refused {
        Refusal::Error(error) => error,
        Refusal::KeyTaken => taken(act),
    }
}

/// Aborts old unfinished uploads of the folder two levels above `key`: for a base backup, those of all base backups of the cluster.
async fn abort_leftovers(store: &S3Store, client: &Client, key: &str) {
    let folder = key
        .rsplitn(3, '/')
        .nth(2)
        .map_or_else(|| store.key(key), |folder| store.key(&format!("{folder}/")));
    let act = store.act("look for unfinished uploads beside", key);
    let request = client
        .list_multipart_uploads()
        .bucket(&store.options.bucket)
        .prefix(folder);
    let found = match act.within(ANSWER_TIMEOUT, request.send()).await {
        Ok(found) => found,
        Err(Refusal::Error(error)) => return tracing::warn!(%error, "unfinished uploads could not be listed"),
        Err(Refusal::KeyTaken) => return,
    };
    let oldest = DateTime::from(SystemTime::now() - store.options.stale_upload_age);
    for upload in found.uploads() {
        let (Some(key), Some(id), Some(begun)) = (upload.key(), upload.upload_id(), upload.initiated())
        else {
            continue;
        };
        if *begun > oldest {
            continue;
        }
        let abort = client
            .abort_multipart_upload()
            .bucket(&store.options.bucket)
            .key(key)
            .upload_id(id);
        match act.within(ANSWER_TIMEOUT, abort.send()).await {
            Ok(_) => tracing::info!(key, "aborted an unfinished upload"),
            Err(Refusal::Error(error)) => {
                tracing::warn!(%error, key, "an unfinished upload could not be aborted");
            }
            Err(Refusal::KeyTaken) => {}
        }
    }
}
