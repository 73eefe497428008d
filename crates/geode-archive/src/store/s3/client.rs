//! The SDK's client, made anew whenever the credentials in the directory have changed, so that rotating a key needs no restart.

use super::S3Options;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Builder, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::Mutex;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes and keeps the client.
pub(super) struct Clients {
    base: Builder,
    credentials_dir: Option<PathBuf>,
    current: Mutex<Option<(Keys, Client)>>,
}

impl std::fmt::Debug for Clients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clients")
            .field("credentials_dir", &self.credentials_dir)
            .finish_non_exhaustive()
    }
}

/// What the files say. Not printed anywhere.
#[derive(Clone, PartialEq, Eq, Default)]
struct Keys {
    access: String,
    secret: String,
    token: Option<String>,
}

impl Clients {
    pub(super) async fn new(options: &S3Options) -> Self {
        let region = Region::new(options.region.clone());
        let base = if options.credentials_dir.is_some() {
            Builder::new()
                .behavior_version(BehaviorVersion::latest())
                .region(region)
        } else {
            let found = aws_config::defaults(BehaviorVersion::latest())
                .region(region)
                .load()
                .await;
            Builder::from(&found)
        };
        let mut base = base
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).build())
            // Our own SHA-256 goes with every body; trailers that some servers do not know are not needed.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        if let Some(endpoint) = &options.endpoint {
            base = base.endpoint_url(endpoint).force_path_style(true);
        }
        Self {
            base,
            credentials_dir: options.credentials_dir.clone(),
            current: Mutex::new(None),
        }
    }

    /// The client with today's credentials, or why there are none.
    pub(super) async fn current(&self) -> Result<Client, String> {
        let keys = match &self.credentials_dir {
            Some(directory) => read_keys(directory).await?,
            None => Keys::default(),
        };
        let mut current = self.current.lock().await;
        if let Some((known, client)) = current.as_ref()
            && *known == keys
        {
            return Ok(client.clone());
        }
        let mut config = self.base.clone();
        if self.credentials_dir.is_some() {
            let Keys {
                access,
                secret,
                token,
            } = keys.clone();
            config =
                config.credentials_provider(Credentials::new(access, secret, token, None, "geode-files"));
        }
        let client = Client::from_conf(config.build());
        *current = Some((keys, client.clone()));
        Ok(client)
    }
}

async fn read_keys(directory: &Path) -> Result<Keys, String> {
    let access = read_one(directory, &["access-key", "AWS_ACCESS_KEY_ID"]).await?;
    let secret = read_one(directory, &["secret-key", "AWS_SECRET_ACCESS_KEY"]).await?;
    let token = read_one(directory, &["session-token", "AWS_SESSION_TOKEN"]).await?;
    let missing = |names: &str| {
        format!(
            "there are no credentials: {} has neither {names}",
            directory.display()
        )
    };
    Ok(Keys {
        access: access.ok_or_else(|| missing("access-key nor AWS_ACCESS_KEY_ID"))?,
        secret: secret.ok_or_else(|| missing("secret-key nor AWS_SECRET_ACCESS_KEY"))?,
        token,
    })
}

async fn read_one(directory: &Path, names: &[&str]) -> Result<Option<String>, String> {
    for name in names {
        let path = directory.join(name);
        match tokio::fs::read_to_string(&path).await {
            Ok(text) if !text.trim().is_empty() => return Ok(Some(text.trim().to_owned())),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(format!(
                    "cannot read the credentials file {}: {error}",
                    path.display()
                ));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn new_keys_in_the_directory_make_a_new_client_and_missing_ones_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let mut options = S3Options::new("b", "");
        options.credentials_dir = Some(dir.path().to_owned());
        let clients = Clients::new(&options).await;
        assert!(
            clients
                .current()
                .await
                .unwrap_err()
                .contains("neither access-key")
        );
        std::fs::write(dir.path().join("access-key"), "a\n").unwrap();
        std::fs::write(dir.path().join("secret-key"), "s\n").unwrap();
        clients.current().await.unwrap();
        let keys = |current: &Option<(Keys, Client)>| current.as_ref().map(|(keys, _)| keys.secret.clone());
        assert_eq!(keys(&*clients.current.lock().await).as_deref(), Some("s"));
        std::fs::write(dir.path().join("secret-key"), "t").unwrap();
        clients.current().await.unwrap();
        assert_eq!(keys(&*clients.current.lock().await).as_deref(), Some("t"));
    }
}
