//! Which attributes there are: the one table that discovery shows, and that bodies, filters and the
//! paths of PATCH are read by (RFC 7643 sections 2, 4 and 7).
//!
//! What is not in it is not kept: a provider may map anything to anybody, and what nobody here
//! looks at is better not stored.
//!
//! Length: one table, which is read from top to bottom.

use serde_json::{Value, json};

/// People.
pub(super) const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// Groups.
pub(super) const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// What companies say of people besides.
pub(super) const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
/// What the server offers.
pub(super) const CONFIG: &str = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";
/// The sorts of resources.
pub(super) const RESOURCE_TYPE: &str = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";
/// The schemas themselves.
pub(super) const SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:Schema";

/// What values of an attribute are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sort {
    /// Text.
    Text,
    /// True or false.
    Flag,
    /// A whole number.
    Number,
    /// An instant.
    Time,
    /// The address of something of these sorts.
    Reference(&'static [&'static str]),
    /// An object of these.
    Complex(&'static [Attribute]),
}

/// Who may change an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mutability {
    /// Whoever may change the resource.
    ReadWrite,
    /// Nobody.
    ReadOnly,
    /// Nobody, once it is said.
    Immutable,
}

/// One attribute.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attribute {
    /// Its name; compared without regard to case (RFC 7643 section 2.1).
    pub(super) name: &'static str,
    /// What its values are.
    pub(super) sort: Sort,
    /// Whether it has many values.
    pub(super) many: bool,
    /// Whether a resource must have it.
    pub(super) required: bool,
    /// Whether case counts in its values.
    pub(super) exact: bool,
    /// Who may change it.
    pub(super) mutability: Mutability,
    unique: bool,
    always: bool,
    described: &'static str,
    usual: &'static [&'static str],
}

impl Attribute {
    const fn new(name: &'static str, sort: Sort, described: &'static str) -> Self {
        Self {
            name,
            sort,
            many: false,
            required: false,
            exact: false,
            mutability: Mutability::ReadWrite,
            unique: false,
            always: false,
            described,
            usual: &[],
        }
    }

    const fn text(name: &'static str, described: &'static str) -> Self {
        Self::new(name, Sort::Text, described)
    }

    const fn many(self) -> Self {
        Self { many: true, ..self }
    }

    const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    const fn exact(self) -> Self {
        Self { exact: true, ..self }
    }

    const fn unique(self) -> Self {
        Self { unique: true, ..self }
    }

    const fn always(self) -> Self {
        Self { always: true, ..self }
    }

    const fn that(self, mutability: Mutability) -> Self {
        Self { mutability, ..self }
    }

    const fn usual(self, usual: &'static [&'static str]) -> Self {
        Self { usual, ..self }
    }

    /// The attributes of its values.
    pub(super) const fn parts(&self) -> &'static [Self] {
        match self.sort {
            Sort::Complex(parts) => parts,
            _ => &[],
        }
    }

    /// One of them.
    pub(super) fn part(&self, name: &str) -> Option<&'static Self> {
        named(self.parts(), name)
    }

    /// As discovery shows it (RFC 7643 section 7).
    fn shown(&self) -> Value {
        let mut shown = json!({
            "name": self.name,
            "type": match self.sort {
                Sort::Text => "string",
                Sort::Flag => "boolean",
                Sort::Number => "integer",
                Sort::Time => "dateTime",
                Sort::Reference(_) => "reference",
                Sort::Complex(_) => "complex",
            },
            "multiValued": self.many,
            "description": self.described,
            "required": self.required,
            "caseExact": self.exact,
            "mutability": match self.mutability {
                Mutability::ReadWrite => "readWrite",
                Mutability::ReadOnly => "readOnly",
                Mutability::Immutable => "immutable",
            },
            "returned": if self.always { "always" } else { "default" },
            "uniqueness": if self.unique { "server" } else { "none" },
        });
        if let Some(object) = shown.as_object_mut() {
            if let Sort::Complex(parts) = self.sort {
                let parts: Vec<Value> = parts.iter().map(Self::shown).collect();
                object.insert("subAttributes".into(), parts.into());
            }
            if let Sort::Reference(to) = self.sort {
                object.insert("referenceTypes".into(), json!(to));
            }
            if !self.usual.is_empty() {
                object.insert("canonicalValues".into(), json!(self.usual));
            }
        }
        shown
    }
}

/// The attribute of a name.
pub(super) fn named(attributes: &'static [Attribute], name: &str) -> Option<&'static Attribute> {
    attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
}

/// A set of attributes under one name.
#[derive(Debug)]
pub(super) struct Schema {
    /// Its name, a URN.
    pub(super) id: &'static str,
    /// Its attributes.
    pub(super) attributes: &'static [Attribute],
    name: &'static str,
    described: &'static str,
}

impl Schema {
    /// As discovery shows it.
    pub(super) fn shown(&self, base: &str) -> Value {
        let attributes: Vec<Value> = self.attributes.iter().map(Attribute::shown).collect();
        json!({
            "schemas": [SCHEMA],
            "id": self.id,
            "name": self.name,
            "description": self.described,
            "attributes": attributes,
            "meta": { "resourceType": "Schema", "location": format!("{base}/Schemas/{}", self.id) },
        })
    }
}

/// A sort of resources.
#[derive(Debug)]
pub(super) struct Resources {
    /// What one is called.
    pub(super) name: &'static str,
    /// The segment of the path below which they are.
    pub(super) endpoint: &'static str,
    /// The schema that all have.
    pub(super) core: &'static Schema,
    /// The schema that some have.
    pub(super) extension: Option<&'static Schema>,
    described: &'static str,
}

impl Resources {
    /// As discovery shows it (RFC 7643 section 6).
    pub(super) fn shown(&self, base: &str) -> Value {
        let extensions: Vec<Value> = self
            .extension
            .iter()
            .map(|schema| json!({ "schema": schema.id, "required": false }))
            .collect();
        let location = format!("{base}/ResourceTypes/{}", self.name);
        json!({
            "schemas": [RESOURCE_TYPE],
            "id": self.name,
            "name": self.name,
            "endpoint": format!("/{}", self.endpoint),
            "description": self.described,
            "schema": self.core.id,
            "schemaExtensions": extensions,
            "meta": { "resourceType": "ResourceType", "location": location },
        })
    }
}

/// People.
pub(super) const USERS: Resources = Resources {
    name: "User",
    endpoint: "Users",
    core: &USER_SCHEMA,
    extension: Some(&ENTERPRISE_SCHEMA),
    described: "A person who can hold tokens",
};

/// Groups.
pub(super) const GROUPS: Resources = Resources {
    name: "Group",
    endpoint: "Groups",
    core: &GROUP_SCHEMA,
    extension: None,
    described: "A group of people",
};

/// Every schema there is.
pub(super) const SCHEMAS: [&Schema; 6] = [
    &USER_SCHEMA,
    &GROUP_SCHEMA,
    &ENTERPRISE_SCHEMA,
    &CONFIG_SCHEMA,
    &RESOURCE_TYPE_SCHEMA,
    &SCHEMA_SCHEMA,
];

/// What every resource has besides (RFC 7643 section 3.1); no schema names them.
pub(super) const COMMON: &[Attribute] = &[
    Attribute::text("id", "What the server calls the resource").exact().that(READ_ONLY).always(),
    Attribute::text("externalId", "What the provider calls the resource").exact(),
    Attribute::text("schemas", "The schemas of the resource").many().exact().that(READ_ONLY),
    Attribute::new(
        "meta",
        Sort::Complex(&[
            Attribute::text("resourceType", "The sort of the resource").exact(),
            Attribute::new("created", Sort::Time, "When it was made"),
            Attribute::new("lastModified", Sort::Time, "When it last changed"),
            Attribute::text("location", "Where it is").exact(),
            Attribute::text("version", "The version, an entity tag").exact(),
        ]),
        "About the resource",
    )
    .that(READ_ONLY),
];

const READ_ONLY: Mutability = Mutability::ReadOnly;
const IMMUTABLE: Mutability = Mutability::Immutable;
const KINDS: &[&str] = &["work", "home", "other"];

const USER_SCHEMA: Schema = Schema {
    id: USER,
    name: "User",
    described: "A person who can hold tokens",
    attributes: &[
        Attribute::text("userName", "The name that the person presents; it stays as it is made")
            .required()
            .unique()
            .that(IMMUTABLE),
        Attribute::new("name", Sort::Complex(NAME_PARTS), "The parts of the person's name"),
        Attribute::text("displayName", "What to call the person"),
        Attribute::text("nickName", "What the person is called by friends"),
        Attribute::new("profileUrl", Sort::Reference(&["external"]), "A page about the person"),
        Attribute::text("title", "The person's title, such as Vice President"),
        Attribute::text("userType", "How the person belongs to the organisation"),
        Attribute::text("preferredLanguage", "The languages of the person, as Accept-Language"),
        Attribute::text("locale", "Where the person is, for dates and numbers"),
        Attribute::text("timezone", "The time zone of the person, such as Europe/Berlin"),
        Attribute::new(
            "active",
            Sort::Flag,
            "Whether what the person holds counts; if not, every token of theirs is refused",
        ),
        Attribute::new("emails", Sort::Complex(EMAIL_PARTS), "The person's addresses").many(),
        Attribute::new("phoneNumbers", Sort::Complex(PHONE_PARTS), "The person's numbers").many(),
        Attribute::new("groups", Sort::Complex(GROUP_PARTS), "The groups that the person is in")
            .many()
            .that(READ_ONLY),
    ],
};

const NAME_PARTS: &[Attribute] = &[
    Attribute::text("formatted", "The whole name"),
    Attribute::text("familyName", "The family name"),
    Attribute::text("givenName", "The given name"),
    Attribute::text("middleName", "The middle names"),
    Attribute::text("honorificPrefix", "What stands before the name"),
    Attribute::text("honorificSuffix", "What stands behind the name"),
];

const EMAIL_PARTS: &[Attribute] = &[
    Attribute::text("value", "The address"),
    Attribute::text("display", "The address as people read it"),
    Attribute::text("type", "What the address is for").usual(KINDS),
    Attribute::new("primary", Sort::Flag, "Whether it is the one to write to"),
];

const PHONE_PARTS: &[Attribute] = &[
    Attribute::text("value", "The number"),
    Attribute::text("display", "The number as people read it"),
    Attribute::text("type", "What the number is for")
        .usual(&["work", "home", "mobile", "fax", "pager", "other"]),
    Attribute::new("primary", Sort::Flag, "Whether it is the one to call"),
];

const GROUP_PARTS: &[Attribute] = &[
    Attribute::text("value", "The id of the group").exact().that(READ_ONLY),
    Attribute::new("$ref", Sort::Reference(&["Group"]), "Where the group is").that(READ_ONLY),
    Attribute::text("display", "The name of the group").that(READ_ONLY),
    Attribute::text("type", "How the person is in it; always direct")
        .usual(&["direct"])
        .that(READ_ONLY),
];

const ENTERPRISE_SCHEMA: Schema = Schema {
    id: ENTERPRISE,
    name: "EnterpriseUser",
    described: "What companies say of people",
    attributes: &[
        Attribute::text("employeeNumber", "The number of the employee"),
        Attribute::text("costCenter", "The cost centre"),
        Attribute::text("organization", "The organisation"),
        Attribute::text("division", "The division"),
        Attribute::text("department", "The department"),
        Attribute::new(
            "manager",
            Sort::Complex(&[
                Attribute::text("value", "The id of the manager").exact(),
                Attribute::new("$ref", Sort::Reference(&["User"]), "Where the manager is"),
                Attribute::text("displayName", "What to call the manager").that(READ_ONLY),
            ]),
            "The person's manager",
        ),
    ],
};

const GROUP_SCHEMA: Schema = Schema {
    id: GROUP,
    name: "Group",
    described: "A group of people",
    attributes: &[
        Attribute::text("displayName", "The name of the group; it stays as it is made")
            .required()
            .unique()
            .that(IMMUTABLE),
        Attribute::new("members", Sort::Complex(MEMBER_PARTS), "Who is in the group; people only")
            .many(),
    ],
};

const MEMBER_PARTS: &[Attribute] = &[
    Attribute::text("value", "The id of the person").exact().that(IMMUTABLE),
    Attribute::new("$ref", Sort::Reference(&["User"]), "Where the person is").that(IMMUTABLE),
    Attribute::text("type", "What the member is; always User").usual(&["User"]).that(IMMUTABLE),
];

/// A feature that there is or is not.
const SUPPORTED: &[Attribute] = &[supported()];

const fn supported() -> Attribute {
    shows("supported", Sort::Flag, "Whether there is such a thing").required()
}

const fn shows(name: &'static str, sort: Sort, described: &'static str) -> Attribute {
    Attribute::new(name, sort, described).that(READ_ONLY)
}

const CONFIG_SCHEMA: Schema = Schema {
    id: CONFIG,
    name: "ServiceProviderConfig",
    described: "What the server offers",
    attributes: &[
        shows("documentationUri", Sort::Reference(&["external"]), "Where to read more"),
        shows("patch", Sort::Complex(SUPPORTED), "Whether PATCH is served").required(),
        shows(
            "bulk",
            Sort::Complex(&[
                supported(),
                shows("maxOperations", Sort::Number, "Operations at most").required(),
                shows("maxPayloadSize", Sort::Number, "Bytes at most").required(),
            ]),
            "Whether many operations in one request are served",
        )
        .required(),
        shows(
            "filter",
            Sort::Complex(&[
                supported(),
                shows("maxResults", Sort::Number, "Resources of one answer at most").required(),
            ]),
            "Whether filters are served",
        )
        .required(),
        shows("changePassword", Sort::Complex(SUPPORTED), "Whether passwords are kept").required(),
        shows("sort", Sort::Complex(SUPPORTED), "Whether lists are sorted as asked").required(),
        shows("etag", Sort::Complex(SUPPORTED), "Whether versions are told and heeded").required(),
        shows(
            "authenticationSchemes",
            Sort::Complex(&[
                shows("type", Sort::Text, "The scheme").required(),
                shows("name", Sort::Text, "What it is called").required(),
                shows("description", Sort::Text, "What it is").required(),
                shows("specUri", Sort::Reference(&["external"]), "Its standard"),
                shows("documentationUri", Sort::Reference(&["external"]), "Where to read more"),
            ]),
            "How callers present themselves",
        )
        .many()
        .required(),
    ],
};

const RESOURCE_TYPE_SCHEMA: Schema = Schema {
    id: RESOURCE_TYPE,
    name: "ResourceType",
    described: "A sort of resources",
    attributes: &[
        shows("id", Sort::Text, "What the server calls it"),
        shows("name", Sort::Text, "What one is called").required(),
        shows("description", Sort::Text, "What one is"),
        shows("endpoint", Sort::Reference(&["uri"]), "Where they are").required(),
        shows("schema", Sort::Reference(&["uri"]), "The schema that all have").required().exact(),
        shows(
            "schemaExtensions",
            Sort::Complex(&[
                shows("schema", Sort::Reference(&["uri"]), "The schema").required().exact(),
                shows("required", Sort::Flag, "Whether all have it").required(),
            ]),
            "The schemas that some have",
        )
        .many(),
    ],
};

const SCHEMA_SCHEMA: Schema = Schema {
    id: SCHEMA,
    name: "Schema",
    described: "A set of attributes",
    attributes: &[
        shows("id", Sort::Text, "Its name, a URN").required(),
        shows("name", Sort::Text, "What people call it"),
        shows("description", Sort::Text, "What it is"),
        shows("attributes", Sort::Complex(ATTRIBUTE_PARTS), "Its attributes").many().required(),
    ],
};

/// What is said of any attribute: of a resource's, or of those that its values have.
const fn said_of_each(required: &'static str) -> [Attribute; 11] {
    [
        shows("name", Sort::Text, "Its name").required().exact(),
        shows("type", Sort::Text, "What its values are").required(),
        shows("multiValued", Sort::Flag, "Whether it has many values").required(),
        shows("description", Sort::Text, "What it is"),
        shows("required", Sort::Flag, required),
        shows("canonicalValues", Sort::Text, "The usual values").many(),
        shows("caseExact", Sort::Flag, "Whether case counts in its values"),
        shows("mutability", Sort::Text, "Who may change it").exact(),
        shows("returned", Sort::Text, "When it is answered with").exact(),
        shows("uniqueness", Sort::Text, "How far its values are unique").exact(),
        shows("referenceTypes", Sort::Text, "What it can refer to").many().exact(),
    ]
}

/// Down to the attributes of an attribute's values, which have none themselves.
const ATTRIBUTE_PARTS: &[Attribute] = &{
    let parts = Sort::Complex(&PART_PARTS);
    let mut all = [shows("subAttributes", parts, "The attributes of its values").many(); 12];
    let (each, _) = all.split_at_mut(PART_PARTS.len());
    each.copy_from_slice(&said_of_each("Whether a resource must have it"));
    all
};

const PART_PARTS: [Attribute; 11] = said_of_each("Whether a value must have it");
