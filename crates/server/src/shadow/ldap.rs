//! An old directory, asked by a bind. Each question has a connection of its own, as with most
//! programs that check a password so.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use counterfoil_authority::shadow::{Question, Said};
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError};
use rustls::ClientConfig;

use super::{NoAnswer, Way};
use crate::config::OldConfig;
use crate::provision::ldap::connection::trusting;

/// Results of a directory (RFC 4511 appendix A).
const SUCCESS: u32 = 0;
const INVALID_CREDENTIALS: u32 = 49;
/// Where the name of the person stands.
const USER: &str = "{user}";

/// An old directory.
pub(super) struct LdapOld {
    url: String,
    bind_dn: String,
    start_tls: bool,
    tls: Option<Arc<ClientConfig>>,
    timeout: Duration,
}

fn lost(error: &LdapError) -> NoAnswer {
    NoAnswer::away(match error {
        LdapError::Timeout { .. } => "it did not answer in time",
        _ => "it cannot be reached",
    })
}

impl LdapOld {
    pub(super) fn new(
        old: &OldConfig,
        bind_dn: &str,
        start_tls: bool,
        ca: Option<&str>,
    ) -> Result<Self, String> {
        let tls = ca.map(trusting).transpose().map_err(|failed| failed.what)?;
        let (url, timeout) = (old.url.clone(), old.timeout);
        Ok(Self { url, bind_dn: bind_dn.to_owned(), start_tls, tls, timeout })
    }

    async fn connect(&self) -> Result<Ldap, NoAnswer> {
        let mut settings =
            LdapConnSettings::new().set_conn_timeout(self.timeout).set_starttls(self.start_tls);
        if let Some(tls) = &self.tls {
            settings = settings.set_config(Arc::clone(tls));
        }
        let connecting = LdapConnAsync::with_settings(settings, &self.url);
        // StartTLS and the handshake have no limit of their own.
        let connected = tokio::time::timeout(self.timeout, connecting).await;
        let connected = connected.map_err(|_| NoAnswer::away("it did not answer in time"))?;
        let (connection, ldap) = connected.map_err(|error| lost(&error))?;
        tokio::spawn(async move {
            // How a connection ends that was used once says nothing.
            let _ = connection.drive().await;
        });
        Ok(ldap)
    }
}

/// What the result of a bind says.
fn answered(rc: u32) -> Result<Said, NoAnswer> {
    match rc {
        SUCCESS => Ok(Said::Good(None)),
        INVALID_CREDENTIALS => Ok(Said::Bad),
        rc => Err(NoAnswer::because(format!("the bind ended with result {rc}"))),
    }
}

#[async_trait]
impl Way for LdapOld {
    async fn ask(&self, question: &Question) -> Result<Said, NoAnswer> {
        let name = question.username.as_ref();
        let name = name.ok_or_else(|| NoAnswer::because("there is no user name"))?;
        let presented = question.presented.reveal();
        if presented.is_empty() {
            // RFC 4513 section 5.1.2: it would succeed, and mean nothing.
            return Err(NoAnswer::because("nothing was presented"));
        }
        let dn = self.bind_dn.replace(USER, &ldap3::dn_escape(name.as_str()));
        let mut ldap = self.connect().await?;
        let bound = ldap.with_timeout(self.timeout).simple_bind(&dn, presented).await;
        let said = bound.map_err(|error| lost(&error)).and_then(|bound| answered(bound.rc));
        let _ = ldap.unbind().await;
        said
    }

    async fn reach(&self) -> Result<(), NoAnswer> {
        let mut ldap = self.connect().await?;
        let _ = ldap.unbind().await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_of_a_bind_is_a_yes_a_no_or_no_answer() {
        assert_eq!(answered(0), Ok(Said::Good(None)));
        assert_eq!(answered(49), Ok(Said::Bad));
        for rc in [1, 8, 14, 32, 34, 48, 50, 51, 52, 53, 80] {
            assert!(answered(rc).is_err(), "{rc}");
        }
    }
}
