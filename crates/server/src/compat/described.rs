//! The doors for other products in the API's description: which routes there are, and the page that
//! says how they answer. The products' own documents say what bodies look like (decision 0030).

use utoipa::openapi::external_docs::ExternalDocsBuilder;
use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, ParameterBuilder, ParameterIn, Paths,
};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Required, Response};

use crate::http::state::HttpSettings;

/// What stands at the link to a door's page.
const COMPARED: &str = "How the door compares with the product";

/// A door for another product.
pub struct DoorText {
    /// What its routes are listed under.
    pub tag: &'static str,
    /// The page that compares it with the product.
    pub page: &'static str,
    /// The scheme of the credential that most of its routes want; `None` where it is the product's
    /// own.
    pub scheme: Option<&'static str>,
    /// Whether it is switched on.
    pub is_on: fn(&HttpSettings) -> bool,
    /// Its routes: method, path, what it is for.
    pub routes: &'static [(HttpMethod, &'static str, &'static str)],
}

/// Every door for another product. One that joins [`super`] joins this list.
pub const DOORS: &[DoorText] = &[AIRLOCK, COMANAGE, FORGEROCK, PRIVACYIDEA, SCIM, SENTINEL];

const AIRLOCK: DoorText = DoorText {
    tag: "compat: Airlock IAM",
    page: "docs/compat/airlock.md",
    scheme: Some("bearer"),
    is_on: |settings| settings.airlock,
    routes: &[
        (
            HttpMethod::Get,
            "/auth-admin/rest/users/{user}/tokens/generic/{type}",
            "Lists a person's tokens in a repository.",
        ),
        (HttpMethod::Post, "/auth-admin/rest/users/{user}/tokens/generic/{type}", "Makes a token."),
        (
            HttpMethod::Get,
            "/auth-admin/rest/users/{user}/tokens/generic/{type}/{id}",
            "Shows a token.",
        ),
        (
            HttpMethod::Patch,
            "/auth-admin/rest/users/{user}/tokens/generic/{type}/{id}",
            "Changes attributes of a token.",
        ),
        (
            HttpMethod::Delete,
            "/auth-admin/rest/users/{user}/tokens/generic/{type}/{id}",
            "Removes a token.",
        ),
        (
            HttpMethod::Post,
            "/auth-admin/rest/users/{user}/tokens/generic/{type}/{id}/{act}",
            "`enable`, `disable`, `revoke`, `rotate` or `promote`.",
        ),
        (
            HttpMethod::Get,
            "/auth-admin/rest/tokens",
            "Lists a repository's tokens across people: `filter[type]`.",
        ),
        (HttpMethod::Post, "/auth-admin/rest/tokens", "Puts a token into the stock."),
        (
            HttpMethod::Post,
            "/auth-admin/rest/tokens/{id}/{act}",
            "`assign` a token of the stock, or `unassign` it.",
        ),
        (
            HttpMethod::Get,
            "/auth-admin/rest/users/{user}/tokens/generic/{type}/activation-letters",
            "Lists a person's activation letters.",
        ),
        (
            HttpMethod::Post,
            "/auth-admin/rest/users/{user}/tokens/generic/{type}/activation-letters",
            "Orders an activation letter.",
        ),
        (
            HttpMethod::Delete,
            "/auth-admin/rest/users/{user}/tokens/generic/{type}/activation-letters/{id}",
            "Cancels an activation letter.",
        ),
        (
            HttpMethod::Post,
            "/auth-admin/rest/users/{user}/tokens/generic/{type}/activation-letters/{id}/print",
            "Prints an activation letter: the only answer that shows its secret.",
        ),
        (
            HttpMethod::Post,
            "/auth-admin/rest/tokens/_bulk",
            "Begins an act on many tokens, or says what it would change.",
        ),
        (HttpMethod::Get, "/auth-admin/rest/jobs/{id}", "Shows how far such an act is."),
    ],
};

const COMANAGE: DoorText = DoorText {
    tag: "compat: COmanage",
    page: "docs/compat/comanage.md",
    scheme: Some("basic"),
    is_on: |settings| settings.comanage,
    routes: &[
        (HttpMethod::Get, "/registry/co_services.json", "Lists the services of the CO `coid`."),
        (HttpMethod::Get, "/registry/co_services/{id}", "Shows a service: `7.json`."),
        (HttpMethod::Get, "/registry/co_people.json", "Lists the people of the CO `coid`."),
        (HttpMethod::Get, "/registry/co_people/{id}", "Shows a person: `7.json`."),
        (HttpMethod::Get, "/registry/identifiers.json", "Lists the identifiers of `copersonid`."),
        (HttpMethod::Get, "/registry/identifiers/{id}", "Shows an identifier: `7.json`."),
    ],
};

const FORGEROCK: DoorText = DoorText {
    tag: "compat: ForgeRock AM",
    page: "docs/compat/forgerock.md",
    scheme: None,
    is_on: |settings| settings.am,
    routes: &[
        (HttpMethod::Post, "/openam/json/authenticate", "Begins a session."),
        (HttpMethod::Post, "/openam/json/sessions", "Looks at a session or ends it: `_action`."),
        (HttpMethod::Get, "/openam/json/users", "Lists people: `_queryFilter`."),
        (HttpMethod::Post, "/openam/json/users", "Whose session it is: `_action=idFromSession`."),
        (HttpMethod::Get, "/openam/json/users/{id}", "Shows a person."),
        (
            HttpMethod::Put,
            "/openam/json/users/{id}",
            "Takes a person's tokens over, where `am.import_service` is set.",
        ),
        (HttpMethod::Get, "/openam/json/policies", "Lists policies: `_queryFilter`."),
        (
            HttpMethod::Post,
            "/openam/json/policies",
            "Decides about resources, `_action=evaluate`, or makes a policy, `_action=create`.",
        ),
        (HttpMethod::Get, "/openam/json/policies/{id}", "Shows a policy."),
        (HttpMethod::Put, "/openam/json/policies/{id}", "Makes or replaces a policy."),
        (HttpMethod::Delete, "/openam/json/policies/{id}", "Removes a policy."),
        (
            HttpMethod::Post,
            "/openam/json/policies/{id}",
            "Copies or moves a policy: `_action=copy`, `_action=move`.",
        ),
        (HttpMethod::Get, "/openam/json/applications", "Lists policy sets: `_queryFilter`."),
        (HttpMethod::Post, "/openam/json/applications", "Makes a policy set: `_action=create`."),
        (HttpMethod::Get, "/openam/json/applications/{id}", "Shows a policy set."),
        (HttpMethod::Put, "/openam/json/applications/{id}", "Makes or replaces a policy set."),
        (HttpMethod::Delete, "/openam/json/applications/{id}", "Removes a policy set."),
        (HttpMethod::Get, "/openam/json/resourcetypes", "Lists resource types: `_queryFilter`."),
        (
            HttpMethod::Post,
            "/openam/json/resourcetypes",
            "Makes a resource type: `_action=create`.",
        ),
        (HttpMethod::Get, "/openam/json/resourcetypes/{id}", "Shows a resource type."),
        (HttpMethod::Put, "/openam/json/resourcetypes/{id}", "Makes or replaces a resource type."),
        (HttpMethod::Delete, "/openam/json/resourcetypes/{id}", "Removes a resource type."),
        (HttpMethod::Get, "/openam/json/conditiontypes", "Lists the conditions there are."),
        (HttpMethod::Get, "/openam/json/subjecttypes", "Lists the subjects there are."),
        (HttpMethod::Get, "/openam/json/applicationtypes", "Lists the types of policy sets."),
        (HttpMethod::Get, "/openam/json/decisioncombiners", "Lists how decisions are combined."),
        (HttpMethod::Get, "/openam/json/subjectattributes", "Lists attributes of people."),
        (HttpMethod::Get, "/openam/json/serverinfo/{id}", "Shows the server: `*`, `version`."),
    ],
};

const PRIVACYIDEA: DoorText = DoorText {
    tag: "compat: privacyIDEA",
    page: "docs/compat/privacyidea.md",
    scheme: Some("basic"),
    is_on: |settings| settings.validate,
    routes: &[(HttpMethod::Post, "/validate/check", "Checks a person's code or password.")],
};

const SCIM: DoorText = DoorText {
    tag: "compat: SCIM 2.0",
    page: "docs/compat/scim.md",
    scheme: Some("bearer"),
    is_on: |settings| settings.scim,
    routes: &[
        (HttpMethod::Get, "/scim/v2/ServiceProviderConfig", "Says what is served."),
        (HttpMethod::Get, "/scim/v2/ResourceTypes", "Lists the sorts of resources."),
        (HttpMethod::Get, "/scim/v2/ResourceTypes/{id}", "Shows a sort of resources."),
        (HttpMethod::Get, "/scim/v2/Schemas", "Lists the schemas."),
        (HttpMethod::Get, "/scim/v2/Schemas/{id}", "Shows a schema."),
        (HttpMethod::Post, "/scim/v2/.search", "Finds people and groups."),
        (HttpMethod::Get, "/scim/v2/Users", "Lists people: `filter`, `startIndex`, `count`."),
        (HttpMethod::Post, "/scim/v2/Users", "Creates a person."),
        (HttpMethod::Post, "/scim/v2/Users/.search", "Finds people."),
        (HttpMethod::Get, "/scim/v2/Users/{id}", "Shows a person."),
        (HttpMethod::Put, "/scim/v2/Users/{id}", "Replaces what is said of a person."),
        (
            HttpMethod::Patch,
            "/scim/v2/Users/{id}",
            "Changes a person. `active: false` makes every token of theirs inactive at once.",
        ),
        (HttpMethod::Delete, "/scim/v2/Users/{id}", "Removes a person, and revokes their tokens."),
        (HttpMethod::Get, "/scim/v2/Groups", "Lists groups: `filter`, `startIndex`, `count`."),
        (HttpMethod::Post, "/scim/v2/Groups", "Creates a group."),
        (HttpMethod::Post, "/scim/v2/Groups/.search", "Finds groups."),
        (HttpMethod::Get, "/scim/v2/Groups/{id}", "Shows a group and who is in it."),
        (HttpMethod::Put, "/scim/v2/Groups/{id}", "Replaces who is in a group."),
        (HttpMethod::Patch, "/scim/v2/Groups/{id}", "Lets people enter and leave a group."),
        (HttpMethod::Delete, "/scim/v2/Groups/{id}", "Removes a group."),
    ],
};

const SENTINEL: DoorText = DoorText {
    tag: "compat: Sentinel EMS",
    page: "docs/compat/sentinel.md",
    scheme: Some("bearer"),
    is_on: |settings| settings.sentinel,
    routes: &[
        (HttpMethod::Get, "/token/api/v5/idpConfigurations", "Says where to log in."),
        (HttpMethod::Get, "/token/api/v5/registrationTokens", "Lists registration tokens."),
        (HttpMethod::Post, "/token/api/v5/registrationTokens", "Makes a registration token."),
        (HttpMethod::Delete, "/token/api/v5/registrationTokens", "Removes those that are found."),
        (HttpMethod::Post, "/token/api/v5/registrationTokens/search", "Finds registration tokens."),
        (HttpMethod::Get, "/token/api/v5/registrationTokens/{id}", "Shows a registration token."),
        (HttpMethod::Patch, "/token/api/v5/registrationTokens/{id}", "Changes one."),
        (HttpMethod::Put, "/token/api/v5/registrationTokens/{id}", "Changes one."),
        (HttpMethod::Delete, "/token/api/v5/registrationTokens/{id}", "Removes one."),
        (HttpMethod::Get, "/token/api/v5/authTokens", "Lists auth tokens."),
        (HttpMethod::Post, "/token/api/v5/authTokens", "Draws an auth token, or renews one."),
        (HttpMethod::Get, "/token/api/v5/authTokens/{id}", "Shows an auth token."),
        (HttpMethod::Patch, "/token/api/v5/authTokens/{id}", "Renews one."),
        (HttpMethod::Delete, "/token/api/v5/authTokens/{id}", "Removes one."),
    ],
};

/// The routes of all of these doors.
pub fn paths() -> Paths {
    let mut paths = Paths::new();
    for door in DOORS {
        for (method, path, summary) in door.routes {
            let operation = door.operation(method, path, summary);
            paths.add_path_operation(path, vec![method.clone()], operation);
        }
    }
    paths
}

/// The door that a path belongs to.
pub fn door_of(path: &str) -> Option<&'static DoorText> {
    DOORS.iter().find(|door| door.routes.iter().any(|(_, own, _)| *own == path))
}

impl DoorText {
    fn operation(&self, method: &HttpMethod, path: &str, summary: &str) -> Operation {
        let security = match self.scheme {
            Some(scheme) => SecurityRequirement::new(scheme, [""; 0]),
            None => SecurityRequirement::default(),
        };
        let answer = format!("As the product answers; {} says how", self.page);
        let mut operation = OperationBuilder::new()
            .tag(self.tag)
            .summary(Some(summary))
            .operation_id(Some(id_of(method, path)))
            .security(security)
            .response("default", Response::new(answer));
        for name in variables(path) {
            let text = ObjectBuilder::new().schema_type(Type::String).build();
            let variable = ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Path)
                .required(Required::True)
                .schema(Some(text));
            operation = operation.parameter(variable);
        }
        let mut operation = operation.build();
        let compared = ExternalDocsBuilder::new().url(self.page).description(Some(COMPARED));
        operation.external_docs = Some(compared.build());
        operation
    }
}

/// The names of a path's variable segments.
fn variables(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

/// `get_registry_co_services_json`.
fn id_of(method: &HttpMethod, path: &str) -> String {
    let method = match method {
        HttpMethod::Get => "get",
        HttpMethod::Post => "post",
        HttpMethod::Put => "put",
        HttpMethod::Patch => "patch",
        HttpMethod::Delete => "delete",
        _ => "other",
    };
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    std::iter::once(method).chain(words).collect::<Vec<_>>().join("_")
}
