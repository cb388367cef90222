//! A connection to a database that is not ours: by the same URLs, with the same trust.

use tokio_postgres::Client;

use super::address::Address;
use super::failure::failure;
use crate::engine::Failure;

/// Connects to the first host of a URL that answers, and runs `settings`.
pub(crate) async fn foreign_client(
    url: &str,
    password: Option<&str>,
    settings: &str,
) -> Result<Client, Failure> {
    let address = Address::parse(url).map_err(|error| Failure::Broken(Box::new(error)))?;
    let mut last = None;
    for mut host in address.hosts {
        if let Some(password) = password {
            host.password(password);
        }
        match host.connect(address.trust.connector()).await {
            Ok((client, connection)) => {
                tokio::spawn(async move {
                    if let Err(error) = connection.await {
                        tracing::debug!(%error, "a connection to a foreign database ended");
                    }
                });
                client.batch_execute(settings).await.map_err(failure)?;
                return Ok(client);
            }
            Err(error) => last = Some(failure(error)),
        }
    }
    Err(last.unwrap_or_else(Failure::interleaved))
}
