//! The tables of the schema, in one place: what a copy takes over, and in which order.
//!
//! A test compares this list with the tables of both engines, so that no migration can add a
//! table or a column that a copy would leave behind.

use std::fmt::Write as _;
use std::sync::LazyLock;

/// A table, as far as a copy has to know it.
pub(super) struct Table {
    /// Its name.
    pub(super) name: &'static str,
    /// How many of its columns, the first ones, are its primary key. They are never binary.
    pub(super) key_columns: usize,
    /// Whether the database gives out the numbers of its only key column, `seq`.
    pub(super) numbered: bool,
    /// Its columns, separated by spaces. What a database fills in by itself is missing: the
    /// `owner` in the change log is a transaction of that very database.
    columns: &'static str,
}

/// Every table but `schema_version`, a table before those that refer to it.
const TABLES: [Table; 58] = [
    Table {
        name: "installation",
        key_columns: 1,
        numbered: false,
        columns: "id installation created_at",
    },
    Table { name: "heartbeat", key_columns: 1, numbered: false, columns: "id beats" },
    Table {
        name: "key_record",
        key_columns: 2,
        numbered: false,
        columns: "purpose id fingerprint created_at",
    },
    Table {
        name: "realm",
        key_columns: 1,
        numbered: false,
        columns: "name display_name enabled zone token_policy created_at updated_at version",
    },
    Table {
        name: "unit",
        key_columns: 2,
        numbered: false,
        columns: "realm id name identifier external_id parent created_at updated_at version",
    },
    Table {
        name: "person",
        key_columns: 2,
        numbered: false,
        columns: "realm username display_name emails attributes status unit group_names locks \
              created_at updated_at version external_id provisioned",
    },
    Table {
        name: "grp",
        key_columns: 2,
        numbered: false,
        columns: "realm name description created_at open external_id provisioned updated_at version",
    },
    Table { name: "group_member", key_columns: 3, numbered: false, columns: "realm grp username" },
    Table {
        name: "service",
        key_columns: 2,
        numbered: false,
        columns: "realm label name description url contact logo_url visibility grp entitlement_uri \
              status locked unit token_policy forward_auth created_at updated_at version",
    },
    Table {
        name: "client",
        key_columns: 2,
        numbered: false,
        columns: "realm name description roles scopes services unit limits enabled created_at \
              updated_at version access",
    },
    Table {
        name: "role_grant",
        key_columns: 2,
        numbered: false,
        columns: "realm id subject_kind subject role unit service limits created_at created_by",
    },
    Table {
        name: "token",
        key_columns: 1,
        numbered: false,
        columns: "id realm sort_key kind name description owner_kind owner services scopes \
              permissions networks doors enabled locked pending not_before expires_at \
              revoked_at revoked_by revoked_reason created_at created_by activated_at \
              max_usages used labels airlock sentinel draw_limit reserved returned unit parent \
              version told changed_at repository place",
    },
    Table {
        name: "auth_token",
        key_columns: 1,
        numbered: false,
        columns: "token realm sort_key registration device_key subject hostname system_user \
              mac_address identifier ref_id_1 ref_id_2 source confirmation access_format client \
              ephemeral idle_seconds idle_ends_at refreshed_at user_code request_ends_at \
              poll_seconds polled_at",
    },
    Table {
        name: "refresh_successor",
        key_columns: 2,
        numbered: false,
        columns: "token secret sealed retries expires_at",
    },
    Table { name: "notice", key_columns: 2, numbered: false, columns: "token kind realm due_at" },
    Table {
        name: "token_network",
        key_columns: 2,
        numbered: false,
        columns: "token network first_at last_at",
    },
    Table {
        name: "token_service",
        key_columns: 3,
        numbered: false,
        columns: "realm service sort_key",
    },
    Table {
        name: "token_label",
        key_columns: 4,
        numbered: false,
        columns: "realm name value sort_key",
    },
    Table {
        name: "token_secret",
        key_columns: 2,
        numbered: false,
        columns: "token id slot created_at not_before expires_at pepper hash cost found_by_hash",
    },
    Table {
        name: "token_usage",
        key_columns: 1,
        numbered: false,
        columns: "token first_at last_at last_ip total denied",
    },
    Table {
        name: "event",
        key_columns: 2,
        numbered: false,
        columns: "realm id at kind outcome actor actor_token door source request_id token subject \
              service reason times detail",
    },
    Table { name: "audit_unsealed", key_columns: 1, numbered: true, columns: "seq realm event" },
    Table {
        name: "audit_log",
        key_columns: 1,
        numbered: false,
        columns: "realm size roots note sealed_at witnessed witnessed_at",
    },
    Table {
        name: "audit_tile",
        key_columns: 2,
        numbered: false,
        columns: "realm tile first_id last_id events hashes",
    },
    Table {
        name: "audit_node",
        key_columns: 3,
        numbered: false,
        columns: "realm level place hash",
    },
    Table { name: "change_log", key_columns: 1, numbered: true, columns: "seq at kind realm name" },
    Table {
        name: "idempotency",
        key_columns: 2,
        numbered: false,
        columns: "caller idem_key fingerprint answer expires_at",
    },
    Table { name: "usage_journal", key_columns: 1, numbered: true, columns: "seq bucket deltas" },
    Table {
        name: "lease",
        key_columns: 1,
        numbered: false,
        columns: "name holder fence expires_at",
    },
    Table {
        name: "link",
        key_columns: 1,
        numbered: false,
        columns: "id realm token created_at expires_at pepper hash opened_at sealed",
    },
    Table {
        name: "otp",
        key_columns: 1,
        numbered: false,
        columns: "token method algorithm digits step_seconds seed seal public_id accepted drift \
              confirmed codes_at",
    },
    Table {
        name: "otp_code",
        key_columns: 2,
        numbered: false,
        columns: "token id pepper hash expires_at attempts sealed used_at",
    },
    Table {
        name: "access_token",
        key_columns: 1,
        numbered: false,
        columns: "id realm pepper hash facts expires_at used_at",
    },
    Table {
        name: "access_revocation",
        key_columns: 1,
        numbered: false,
        columns: "id realm revoked_at expires_at",
    },
    Table {
        name: "target",
        key_columns: 2,
        numbered: false,
        columns: "realm name kind mode place_order config secret created_at updated_at version",
    },
    Table {
        name: "directory_hash",
        key_columns: 3,
        numbered: false,
        columns: "token secret scheme sealed",
    },
    Table { name: "outbox", key_columns: 1, numbered: true, columns: "seq realm event" },
    Table {
        name: "delivery",
        key_columns: 4,
        numbered: false,
        columns: "realm target object message state wanted due_at since attempts error place \
              progress unanswered done_at",
    },
    Table {
        name: "am_object",
        key_columns: 3,
        numbered: false,
        columns: "realm kind name policy_set resource_type document created_at created_by \
              updated_at updated_by version",
    },
    Table {
        name: "repository_token",
        key_columns: 1,
        numbered: false,
        columns: "token realm repository sort_key owner place serial tracking ends_at last_at \
              total first_at held_since base_total",
    },
    Table {
        name: "repository_value",
        key_columns: 5,
        numbered: false,
        columns: "realm repository element value sort_key",
    },
    Table { name: "token_data", key_columns: 1, numbered: false, columns: "token sealed" },
    Table {
        name: "repository_assignment",
        key_columns: 2,
        numbered: false,
        columns: "token since realm owner until first_at last_at total",
    },
    Table { name: "proof", key_columns: 1, numbered: false, columns: "once expires_at" },
    Table {
        name: "foreign_use",
        key_columns: 1,
        numbered: false,
        columns: "token realm repository foreign_id owner first_at last_at last_ip total denied used",
    },
    Table {
        name: "use_day",
        key_columns: 3,
        numbered: false,
        columns: "token day door uses last_at last_ip",
    },
    Table { name: "token_use", key_columns: 3, numbered: false, columns: "token aspect what day" },
    Table { name: "token_use_since", key_columns: 1, numbered: false, columns: "id since" },
    Table {
        name: "shadow_difference",
        key_columns: 2,
        numbered: false,
        columns: "realm id shadow service differs token username reason met first_at last_at",
    },
    Table {
        name: "account",
        key_columns: 2,
        numbered: false,
        columns: "realm username pepper hash cost changed_at version passkey_required",
    },
    Table {
        name: "console_session",
        key_columns: 1,
        numbered: false,
        columns: "id realm username pepper hash created_at used_at expires_at source agent \
              method proved_at",
    },
    Table {
        name: "passkey",
        key_columns: 1,
        numbered: false,
        columns: "id realm username credential_id handle name credential counter created_at \
              used_at",
    },
    Table {
        name: "external_identity",
        key_columns: 3,
        numbered: false,
        columns: "realm issuer subject username linked_at used_at",
    },
    Table {
        name: "sign_in_flow",
        key_columns: 1,
        numbered: false,
        columns: "id realm sealed expires_at",
    },
    Table {
        name: "sign_in_link",
        key_columns: 1,
        numbered: false,
        columns: "id realm username created_at created_by expires_at pepper hash used_at",
    },
    Table {
        name: "activation_letter",
        key_columns: 1,
        numbered: false,
        columns: "id realm repository token owner state ordered_at ordered_by expires_at \
              printed_at printed_by ended_at pepper hash",
    },
    Table {
        name: "job",
        key_columns: 1,
        numbered: false,
        columns: "id realm act asked_by actor state created_at ended_at",
    },
    Table {
        name: "job_item",
        key_columns: 2,
        numbered: false,
        columns: "job place token recipient state reason",
    },
];

/// A table and the statements that copy it.
pub(super) struct Copied {
    /// The table.
    pub(super) table: &'static Table,
    /// The first `$1` rows in the order of the key.
    pub(super) first: String,
    /// The same behind a key; its length comes last.
    pub(super) next: String,
    /// Stores one row.
    pub(super) insert: String,
    /// How many rows there are.
    pub(super) count: String,
    /// Any row.
    pub(super) any: String,
    /// The highest number that was given out.
    pub(super) last: String,
}

/// The tables in the order of the copy. The texts live as long as the program, because engines
/// recognise a statement by where its text lies.
pub(super) static ALL: LazyLock<Vec<Copied>> =
    LazyLock::new(|| TABLES.iter().map(Copied::of).collect());

impl Table {
    /// Its columns.
    pub(super) fn columns(&self) -> impl Iterator<Item = &'static str> {
        self.columns.split(' ')
    }
}

impl Copied {
    fn of(table: &'static Table) -> Self {
        let name = table.name;
        let columns = table.columns().collect::<Vec<_>>().join(", ");
        let key = table.columns().take(table.key_columns).collect::<Vec<_>>().join(", ");
        let behind = placeholders(table.key_columns);
        let page = table.key_columns + 1;
        let values = placeholders(table.columns().count());
        Self {
            table,
            first: format!("select {columns} from {name} order by {key} limit $1"),
            next: format!(
                "select {columns} from {name} where ({key}) > ({behind}) \
                 order by {key} limit ${page}"
            ),
            insert: format!("insert into {name} ({columns}) values ({values})"),
            count: format!("select count(*) from {name}"),
            any: format!("select 1 from {name} limit 1"),
            last: format!("select max(seq) from {name}"),
        }
    }
}

fn placeholders(count: usize) -> String {
    (1..=count).fold(String::new(), |mut text, place| {
        let comma = if place > 1 { ", " } else { "" };
        // Writing to a string cannot fail.
        let _ = write!(text, "{comma}${place}");
        text
    })
}
