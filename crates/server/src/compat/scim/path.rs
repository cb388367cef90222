//! Where in a resource a name points: of a filter, of a path of PATCH, of a list of attributes.
//!
//! The grammar is the library's (RFC 7644 section 3.4.2.2); which names there are is the table's.

use scim_v2::filter::{AttrPath, Filter, PatchPath, ValFilter};

use super::fault::Fault;
use super::schema::{Attribute, COMMON, Resources, Schema, named};

/// Bytes of a filter or path at most: a hundred comparisons fit. How deep and of how many parts it
/// may be is bounded by the library while it reads.
const TEXT_BYTES_MAX: usize = 8 * 1024;

/// An attribute, or a part of one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot {
    /// The schema whose own object holds it; `None`: the resource itself.
    pub(super) extension: Option<&'static Schema>,
    /// The attribute.
    pub(super) attribute: &'static Attribute,
    /// One of the attributes of its values.
    pub(super) part: Option<&'static Attribute>,
}

/// What a path of PATCH points at.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// Everything that an extension says.
    Extension(&'static Schema),
    /// An attribute or a part of it, of all values or of those that match.
    Spot(Spot, Option<ValFilter>),
    /// Something that is not kept here.
    Unknown,
}

/// Reads a filter.
pub(super) fn filter(text: &str) -> Result<Filter, Fault> {
    bounded(text).map_err(Fault::filter)?;
    text.parse().map_err(|_| Fault::filter("this is not a filter (RFC 7644 section 3.4.2.2)"))
}

/// Reads a path of PATCH.
pub(super) fn place(resources: &'static Resources, text: &str) -> Result<Place, Fault> {
    if let Some(schema) = extension_named(resources, text.trim()) {
        return Ok(Place::Extension(schema));
    }
    bounded(text).map_err(Fault::path)?;
    let unreadable = |_| Fault::path("this is not a path (RFC 7644 section 3.5.2)");
    // `$ref` is no name by the grammar, but is one of those that the schemas have.
    let (text, reference) = match text.trim().strip_suffix(".$ref") {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let (attr, filter, sub) = match text.parse::<PatchPath>().map_err(unreadable)? {
        PatchPath::Attr(attr) => (attr, None, None),
        PatchPath::Value(value) => (value.attr, Some(value.filter), value.sub_attr),
    };
    let Some(mut spot) = spot(resources, &attr) else { return Ok(Place::Unknown) };
    let sub = sub.or_else(|| reference.then(|| "$ref".to_owned()));
    if let Some(sub) = sub {
        if spot.part.is_some() {
            return Err(Fault::path("this leads further than there is anything"));
        }
        match spot.attribute.part(&sub) {
            Some(part) => spot.part = Some(part),
            None => return Ok(Place::Unknown),
        }
    }
    if filter.is_some() && (!spot.attribute.many || spot.attribute.parts().is_empty()) {
        let why = format!("{} has not several values to choose from", spot.attribute.name);
        return Err(Fault::path(why));
    }
    Ok(Place::Spot(spot, filter))
}

/// The attribute that a path names; `None` if there is none of that name.
pub(super) fn spot(resources: &'static Resources, path: &AttrPath) -> Option<Spot> {
    let extension = match path.uri.as_deref() {
        None => None,
        Some(uri) if uri.eq_ignore_ascii_case(resources.core.id) => None,
        Some(uri) => Some(extension_named(resources, uri)?),
    };
    let attribute = match extension {
        Some(schema) => named(schema.attributes, &path.name)?,
        None => {
            named(resources.core.attributes, &path.name).or_else(|| named(COMMON, &path.name))?
        }
    };
    let part = match &path.sub_attr {
        None => None,
        Some(sub) => Some(attribute.part(sub)?),
    };
    Some(Spot { extension, attribute, part })
}

/// The attribute of a name as lists of attributes have it (RFC 7644 section 3.9).
pub(super) fn listed(resources: &'static Resources, text: &str) -> Option<Place> {
    place(resources, text).ok().filter(|place| !matches!(place, Place::Unknown))
}

/// The extension of a name.
pub(super) fn extension_named(
    resources: &'static Resources,
    name: &str,
) -> Option<&'static Schema> {
    resources.extension.filter(|schema| schema.id.eq_ignore_ascii_case(name))
}

/// Refuses what would be a lot of work before anybody reads it.
fn bounded(text: &str) -> Result<(), &'static str> {
    if text.len() > TEXT_BYTES_MAX {
        return Err("it is longer than anything that is needed");
    }
    Ok(())
}
