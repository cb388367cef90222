//! From the configuration to what the rules and the doors are given.

use std::net::SocketAddr;
use std::time::Duration;

use counterfoil_authority::access::AccessSettings;
use counterfoil_authority::authority::Settings;
use counterfoil_authority::console::ConsoleSettings;
use counterfoil_authority::secret_hash::SlowCost;

use crate::config::ClientCertificates;
use crate::config::Config;
use crate::config::repository::repositories;
use crate::http::{HttpSettings, LdapPlace};
use crate::ldap::{LdapSettings, Tree};
use crate::leaks::GithubSettings;
use crate::provision::MailSettings;
use crate::traces::TraceSettings;

/// The rules' part of the configuration.
pub fn settings(config: &Config) -> Settings {
    Settings {
        prefix: config.tokens.prefix.clone(),
        retired_prefixes: config.tokens.retired_prefixes.clone(),
        cache_budget_bytes: config.cache.budget_bytes,
        slow_cost: SlowCost {
            memory_kib: config.hashing.memory_kib,
            passes: config.hashing.passes,
            ..SlowCost::default()
        },
        slow_workers: config.hashing.workers(),
        slow_queue_max: config.hashing.queue,
        throttle: config.abuse.throttle,
        link_lifetime_seconds: config.tokens.link_lifetime_seconds,
        access: AccessSettings {
            access_token_format: Some(config.oauth.access_token_format),
            access_token_signing_alg: Some(config.oauth.access_token_signing_alg),
            access_token_lifetime_seconds: Some(config.oauth.access_token_lifetime_seconds),
        },
        key_overlap_seconds: config.oauth.key_overlap_seconds,
        repositories: repositories(&config.repository),
        console: ConsoleSettings {
            session_seconds: config.console.session_seconds,
            idle_seconds: config.console.idle_seconds,
            step_up_seconds: config.console.step_up_seconds,
            passkey_realms: config.console.passkey_realms.clone(),
        },
        event_retention_days: config.audit.retention(),
    }
}

/// The LDAP door's part.
pub fn ldap_settings(config: &Config) -> LdapSettings {
    let ldap = &config.ldap;
    LdapSettings {
        realm: ldap.realm.clone(),
        tree: Tree::new(ldap.base_dn.clone(), ldap.bind_templates.clone()),
        allow_plaintext: ldap.allow_plaintext,
        idle: Duration::from_secs(ldap.idle_seconds),
    }
}

/// How mail leaves the server, if it does.
pub fn mail_settings(config: &Config) -> Option<MailSettings> {
    let mail = &config.mail;
    Some(MailSettings {
        host: mail.host.clone()?,
        port: mail.port,
        tls: mail.tls,
        ca: mail.ca.clone(),
        user: mail.user.clone(),
        password: mail.password.clone(),
        from: mail.from.clone()?,
        reply_to: mail.reply_to.clone(),
    })
}

/// Where traces go, if anywhere.
pub fn trace_settings(config: &Config) -> Option<TraceSettings> {
    let telemetry = &config.telemetry;
    Some(TraceSettings {
        endpoint: telemetry.otlp_endpoint.clone()?,
        authorization: telemetry.otlp_authorization.clone(),
        sample_percent: telemetry.sample_percent,
    })
}

/// The HTTP doors' part, for a server that listens on `bound`.
pub fn http_settings(config: &Config, bound: SocketAddr) -> HttpSettings {
    HttpSettings {
        trusted_proxies: config.server.trusted_proxies.clone(),
        realm_by_host: config.server.realm_by_host.clone(),
        public_url: config.public_url(bound),
        ldap: config.doors.ldap.then(|| LdapPlace {
            listen: config.ldap.listen,
            base_dn: config.ldap.base_dn.to_string(),
        }),
        api: config.doors.api,
        forward_auth: config.doors.forward_auth,
        oauth: config.doors.oauth,
        password_grant: config.oauth.password_grant,
        dpop_nonce: config.oauth.dpop_nonce,
        client_certificates: config.server.tls.client_certificates != ClientCertificates::Off,
        client_certificate_headers: config.server.client_certificate_headers.clone(),
        console: config.doors.console,
        console_oidc: config.console.oidc_settings(),
        console_proxy: config.console.proxy_settings(),
        airlock: config.doors.airlock,
        sentinel: config.doors.sentinel,
        sentinel_validity_days_max: config.sentinel.max_validity_days,
        sentinel_client_id: config.sentinel.client_id.clone(),
        comanage: config.doors.comanage,
        comanage_co_id: config.comanage.co_id,
        am: config.doors.am,
        am_cookie_name: config.am.cookie_name.clone(),
        am_session_seconds: config.am.session_seconds,
        am_idle_seconds: config.am.idle_seconds,
        am_pat_attribute: config.am.pat_attribute.clone(),
        am_import_service: config.am.import_service.clone(),
        validate: config.doors.validate,
        github: config.leaks.github.then(|| GithubSettings {
            keys_url: config.leaks.github_keys_url.clone(),
            keys_file: config.leaks.github_keys_file.clone(),
        }),
        scim: config.doors.scim,
        validate_clients: config.validate.clients.clone(),
        validate_email_challenge: config.validate.email_challenge,
        docs: config.doors.docs,
        api_key_headers: config.doors.api_key_headers.clone(),
        body_bytes_max: config.server.body_bytes_max,
        metrics_bearer: config.metrics.bearer.clone(),
        mail: mail_settings(config),
        traces: trace_settings(config),
    }
}
