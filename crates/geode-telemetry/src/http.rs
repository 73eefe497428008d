//! Small HTTP pages: metrics and probes.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use futures::future::BoxFuture;
use std::sync::Arc;
use tokio::net::TcpListener;

/// What a page answers.
pub struct Answer {
    /// HTTP status code.
    pub status: u16,
    /// Text.
    pub body: String,
}

impl Answer {
    /// 200 with a text.
    pub fn ok(body: impl Into<String>) -> Self {
        Self {
            status: 200,
            body: body.into(),
        }
    }

    /// 503 with the reason: what a probe says while it fails.
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Self {
            status: 503,
            body: reason.into(),
        }
    }
}

type Handler = Arc<dyn Fn() -> BoxFuture<'static, Answer> + Send + Sync>;

/// Pages by path.
#[derive(Clone, Default)]
pub struct Pages {
    pages: Vec<(&'static str, Handler)>,
}

impl Pages {
    /// Adds a page that is computed at each request.
    pub fn with<F, A>(mut self, path: &'static str, answer: F) -> Self
    where
        F: Fn() -> A + Send + Sync + 'static,
        A: Future<Output = Answer> + Send + 'static,
    {
        self.pages.push((path, Arc::new(move || Box::pin(answer()))));
        self
    }

    /// Adds `/metrics` of a registry.
    pub fn with_metrics(self, registry: prometheus::Registry) -> Self {
        self.with("/metrics", move || {
            let text = crate::render(&registry);
            async move { Answer::ok(text) }
        })
    }

    /// Serves the pages until `shutdown` completes.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let router = self
            .pages
            .into_iter()
            .fold(Router::new(), |router, (path, handler)| {
                router.route(
                    path,
                    get(move || async move {
                        let answer = handler().await;
                        (
                            StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
                            answer.body,
                        )
                    }),
                )
            });
        axum::serve(listener, router)
            .with_graceful_shutdown(shutdown)
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn metrics_and_probes_are_served() {
        let registry = prometheus::Registry::new();
        let counter = prometheus::IntCounter::new("geode_test_total", "A test.").unwrap();
        registry.register(Box::new(counter.clone())).unwrap();
        counter.inc();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let pages = Pages::default()
            .with_metrics(registry)
            .with("/readyz", || async { Answer::unavailable("no leader") });
        tokio::spawn(pages.serve(listener, std::future::pending()));
        for (path, parts) in [
            ("/metrics", ["200 OK", "geode_test_total 1"]),
            ("/readyz", ["503", "no leader"]),
        ] {
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            stream
                .write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())
                .await
                .unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            for part in parts {
                assert!(text.contains(part), "{path}: {text}");
            }
        }
    }
}
