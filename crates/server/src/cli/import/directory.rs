//! People of a directory: asked of the directory itself, or read from an export of it.

use std::path::Path;

use crate::cli::failure::Failure;
use crate::cli::secret_input::{self, Wanted};
use crate::import::directory::{self, Source};
use crate::import::ldif::{self, Entry};

/// Where the people are. As whom the directory is asked by default, each command says itself.
#[derive(Debug, clap::Args)]
pub(super) struct DirectoryArgs {
    /// An LDIF export, or the directory itself as `ldap://HOST` or `ldaps://HOST`
    #[arg(value_name = "FILE|URL")]
    source: String,
    /// The attribute that becomes the user name
    #[arg(long, value_name = "NAME", default_value = "uid")]
    user_attribute: String,
    /// Who asks the directory
    #[arg(long, value_name = "DN", default_value = "cn=admin")]
    bind_dn: String,
    /// File with their password, or `-` for standard input
    #[arg(long, value_name = "FILE")]
    bind_password_file: Option<String>,
    /// The entry below which the people are
    #[arg(long, value_name = "DN", default_value = "")]
    base: String,
    /// Begin TLS on the plain port before anything is said
    #[arg(long)]
    start_tls: bool,
}

impl DirectoryArgs {
    /// The attribute that becomes the user name, as entries spell it: in lower case.
    pub(super) fn user_attribute(&self) -> String {
        self.user_attribute.to_ascii_lowercase()
    }

    /// Reads the entries; of a live directory, those that have the attribute.
    pub(super) async fn entries(&self, attribute: &str) -> Result<Vec<Entry>, Failure> {
        let is_live = ["ldap://", "ldaps://"].iter().any(|scheme| self.source.starts_with(scheme));
        if !is_live {
            return ldif::read(Path::new(&self.source)).map_err(Failure::Refused);
        }
        let from = self.bind_password_file.as_deref();
        let password = secret_input::secret(from, Wanted::TargetSecret)?;
        let source = Source {
            url: self.source.clone(),
            start_tls: self.start_tls,
            bind_dn: self.bind_dn.clone(),
            base: self.base.clone(),
            attribute: attribute.to_owned(),
        };
        directory::read(&source, password.reveal()).await.map_err(Failure::Unavailable)
    }
}
