//! The cluster as a driver sees it, past the store.

use counterfoil_store::DatabaseUrl;
use tokio_postgres::{Client, NoTls};

use super::cluster::Cluster;

impl Cluster {
    /// Makes an empty database and says where it is.
    pub(crate) async fn database(&self, name: &str) -> DatabaseUrl {
        let make = format!("create database {name}");
        self.client("postgres").await.batch_execute(&make).await.unwrap();
        self.url(name)
    }

    /// A connection past the store.
    pub(crate) async fn client(&self, database: &str) -> Client {
        let url = format!("postgres://cf@{}/{database}", self.host());
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }
}
