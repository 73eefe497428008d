//! The crate's clients, made anew whenever the credentials on disk have changed, so that rotating a key needs no restart.

use super::{Cloud, CloudOptions};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::list::PaginatedListStore;
use object_store::{ClientOptions, RetryConfig};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The key of a service account, in the directory of the credentials.
const GOOGLE_KEY: &str = "credentials.json";
/// The key of a storage account, or what the portal calls its connection string.
const AZURE_KEY: &str = "account-key";
const AZURE_CONNECTION: &str = "connection-string";

/// What both clients can do.
pub(super) trait Client: object_store::ObjectStore + PaginatedListStore {}
impl<T: object_store::ObjectStore + PaginatedListStore> Client for T {}

/// Makes and keeps the client.
#[derive(Default)]
pub(super) struct Clients {
    current: Mutex<Option<(Secret, Arc<dyn Client>)>>,
}

impl std::fmt::Debug for Clients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clients").finish_non_exhaustive()
    }
}

/// What the files say. Not printed anywhere. Nothing: the pod's own identity, or the environment.
#[derive(Clone, PartialEq, Eq, Default)]
struct Secret(Option<String>);

impl Clients {
    /// The client with today's credentials, or why there are none.
    pub(super) async fn current(&self, options: &CloudOptions) -> Result<Arc<dyn Client>, String> {
        let secret = match &options.credentials {
            None => Secret::default(),
            Some(path) => Secret(Some(read(&options.cloud, path).await?)),
        };
        let mut current = self.current.lock().await;
        if let Some((known, client)) = current.as_ref()
            && *known == secret
        {
            return Ok(client.clone());
        }
        let client = make(options, &secret).map_err(|error| error.to_string())?;
        *current = Some((secret, client.clone()));
        Ok(client)
    }
}

fn make(options: &CloudOptions, secret: &Secret) -> object_store::Result<Arc<dyn Client>> {
    // Callers back off and say so, and know how long an answer may take.
    let retry = RetryConfig {
        max_retries: 0,
        ..RetryConfig::default()
    };
    let is_plain = |endpoint: &String| endpoint.starts_with("http://");
    let client = ClientOptions::new()
        .with_allow_http(options.endpoint.as_ref().is_some_and(is_plain))
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_timeout_disabled();
    match &options.cloud {
        Cloud::Google => {
            let mut builder = match &secret.0 {
                None => GoogleCloudStorageBuilder::from_env(),
                Some(key) => GoogleCloudStorageBuilder::new().with_service_account_key(key),
            };
            if let Some(endpoint) = &options.endpoint {
                builder = builder.with_base_url(endpoint);
            }
            let builder = builder.with_bucket_name(&options.bucket);
            Ok(Arc::new(
                builder.with_retry(retry).with_client_options(client).build()?,
            ))
        }
        Cloud::Azure { account } => {
            let mut builder = match &secret.0 {
                None => MicrosoftAzureBuilder::from_env(),
                Some(key) => MicrosoftAzureBuilder::new().with_access_key(key),
            };
            if let Some(account) = account {
                builder = builder.with_account(account);
            }
            if let Some(endpoint) = &options.endpoint {
                builder = builder.with_endpoint(endpoint.clone());
            }
            let builder = builder.with_container_name(&options.bucket);
            Ok(Arc::new(
                builder.with_retry(retry).with_client_options(client).build()?,
            ))
        }
    }
}

/// The credentials of a file, or of one of the files in a directory that are known by their names.
async fn read(cloud: &Cloud, path: &Path) -> Result<String, String> {
    let names: &[&str] = match cloud {
        Cloud::Google => &[GOOGLE_KEY],
        Cloud::Azure { .. } => &[AZURE_KEY, AZURE_CONNECTION],
    };
    let candidates = if path.is_dir() {
        names.iter().map(|name| path.join(name)).collect()
    } else {
        vec![path.to_owned()]
    };
    for file in candidates {
        match tokio::fs::read_to_string(&file).await {
            Ok(text) if !text.trim().is_empty() => return secret(cloud, text.trim()),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(format!(
                    "cannot read the credentials file {}: {error}",
                    file.display()
                ));
            }
        }
    }
    Err(format!(
        "there are no credentials: {} has no {}",
        path.display(),
        names.join(" and no ")
    ))
}

/// `…;AccountKey=…;…` has the key of an account in it.
fn secret(cloud: &Cloud, text: &str) -> Result<String, String> {
    if matches!(cloud, Cloud::Google) || !text.contains("AccountName=") {
        return Ok(text.to_owned());
    }
    let mut fields = text.split(';').filter_map(|field| field.split_once('='));
    let key = fields.find(|(name, _)| *name == "AccountKey");
    key.map(|(_, key)| key.to_owned())
        .ok_or_else(|| "the connection string has no AccountKey".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_new_key_makes_a_new_client_and_a_missing_one_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let cloud = Cloud::Azure {
            account: Some("backups".to_owned()),
        };
        let mut options = CloudOptions::new(cloud, "wal", "");
        options.credentials = Some(dir.path().to_owned());
        let clients = Clients::default();
        let missing = clients.current(&options).await.err().unwrap();
        assert!(
            missing.contains("no account-key and no connection-string"),
            "{missing}"
        );
        let string = "DefaultEndpointsProtocol=https;AccountName=backups;AccountKey=c2VjcmV0;EndpointSuffix=core.windows.net";
        std::fs::write(dir.path().join(AZURE_CONNECTION), string).unwrap();
        let first = clients.current(&options).await.unwrap();
        assert!(Arc::ptr_eq(&first, &clients.current(&options).await.unwrap()));
        std::fs::write(dir.path().join(AZURE_KEY), "b3RoZXI=\n").unwrap();
        assert!(!Arc::ptr_eq(&first, &clients.current(&options).await.unwrap()));
    }
}
