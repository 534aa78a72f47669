//! The edge's API as an `OpenAPI` 3.1 document.
//!
//! Three sources, each a fact's only place: the types of this crate (schemas, derived), the limits
//! that requests are checked by (`schemas`), and a table of [`OPERATIONS`], which a test holds to
//! the edge's own table of routes.

mod operations;
mod parameters;
mod schemas;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use crate::job::{Generated, Image, Job, ListedImage, Page};
use crate::keys::Key;
use crate::model::Model;
use crate::posts::Post;
use crate::problem::{CONTENT_TYPE, Code, Problem};
use crate::webhook::Delivery;

pub use operations::{Body, Content, OPERATIONS, Operation};

#[derive(OpenApi)]
#[openapi(components(schemas(
    Generated, Image, Job, Key, Model, Post, Problem, Delivery, Page<Delivery>, Page<Job>, Page<Key>,
    Page<ListedImage>, Page<Model>, Page<Post>
)))]
struct Derived;

/// The document.
///
/// # Errors
/// A schema cannot be written as JSON, which none of ours does.
pub fn document() -> Result<Value, serde_json::Error> {
    let mut document = serde_json::to_value(Derived::openapi())?;
    let components = json!({
        "securitySchemes": { "key": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key (`dk_…`), or a token (JWT) where its issuer is known",
        } },
        "parameters": parameters::all(),
    });
    merge(&mut document["components"], components);
    let written = schemas::written().into_iter();
    let written = written.map(|(name, schema)| (name.to_owned(), schema));
    merge(
        &mut document["components"]["schemas"],
        Value::Object(written.collect()),
    );
    document["info"] = json!({
        "title": "Darkroom",
        "description": "Makes pictures from words, and delivers them.",
        "version": env!("CARGO_PKG_VERSION"),
        "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
    });
    document["paths"] = paths();
    // Written alike whether or not `serde_json` keeps the order that members were put in.
    document.sort_all_objects();
    Ok(document)
}

fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}

fn paths() -> Value {
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for operation in OPERATIONS {
        let path = paths.entry(operation.path).or_default();
        path.insert(operation.method.to_lowercase(), describe(operation));
    }
    json!(paths)
}

fn describe(operation: &Operation) -> Value {
    let mut described = json!({
        "operationId": operation_id(operation),
        "summary": operation.summary,
        "responses": responses(operation),
    });
    let in_path = ["id", "file"].into_iter();
    let in_path = in_path.filter(|name| operation.path.contains(&format!("{{{name}}}")));
    let names = in_path.chain(operation.parameters.iter().copied());
    let parameters: Vec<_> = names
        .map(|name| json!({ "$ref": format!("#/components/parameters/{name}") }))
        .collect();
    if !parameters.is_empty() {
        described["parameters"] = parameters.into();
    }
    if let Some(body) = operation.body {
        described["requestBody"] = request_body(body);
    }
    let (security, description) = security(operation);
    described["security"] = security;
    described["description"] = description.into();
    described
}

/// Who may, for programs and for people. An empty alternative is none at all.
fn security(operation: &Operation) -> (Value, String) {
    let scopes = operation.scopes.join("` or `");
    if operation.scopes.is_empty() {
        (json!([]), "Anybody may.".to_owned())
    } else if operation.is_public {
        let description = format!("Anybody may; the scope `{scopes}` shows more.");
        (json!([{}, { "key": operation.scopes }]), description)
    } else {
        let description = format!("Needs the scope `{scopes}`.");
        (json!([{ "key": operation.scopes }]), description)
    }
}

/// `get_api_jobs_id`: what generators name functions by.
fn operation_id(operation: &Operation) -> String {
    let words = operation.path.split(|c: char| !c.is_ascii_alphanumeric());
    let words = words.filter(|word| !word.is_empty());
    let method = operation.method.to_lowercase();
    std::iter::once(&*method)
        .chain(words)
        .collect::<Vec<_>>()
        .join("_")
}

fn schema(name: &str) -> Value {
    json!({ "schema": { "$ref": format!("#/components/schemas/{name}") } })
}

fn request_body(body: Body) -> Value {
    match body {
        Body::Json(name) => {
            json!({ "required": true, "content": { "application/json": schema(name) } })
        }
        Body::OptionalJson(name) => json!({ "content": { "application/json": schema(name) } }),
        Body::JsonOrForm(name) => json!({
            "required": true,
            "content": { "application/json": schema(name), "multipart/form-data": schema(name) },
        }),
    }
}

fn responses(operation: &Operation) -> Value {
    let mut responses = BTreeMap::new();
    let problems = operation.problems.iter().copied().flatten();
    for status in problems {
        let (status, problem) = problem(operation, *status);
        responses.insert(status.to_string(), problem);
    }
    for (status, content) in operation.answers {
        responses.insert(status.to_string(), answer(*content));
    }
    json!(responses)
}

fn answer(content: Content) -> Value {
    let content = match content {
        Content::Empty => return json!({ "description": "Done, and nothing to say" }),
        Content::Json(name) => json!({ "application/json": schema(name) }),
        Content::JsonOrEvents(name) => json!({
            "application/json": schema(name),
            "text/event-stream": { "schema": { "type": "string" } },
        }),
        Content::Events => json!({ "text/event-stream": schema("JobEvent") }),
        Content::Picture => {
            json!({ "image/*": { "schema": { "type": "string", "format": "binary" } } })
        }
    };
    json!({ "description": "Done", "content": content })
}

/// The answer of a status that is a problem, in the shape and with the status that it has there.
fn problem(operation: &Operation, status: u16) -> (u16, Value) {
    let codes = Code::ALL.iter().filter(|code| code.status() == status);
    let codes: Vec<_> = codes.map(|code| format!("`{}`", code.as_str())).collect();
    let description = match &*codes {
        [] => "A range that the picture does not have".to_owned(),
        codes => format!("A problem: {}", codes.join(", ")),
    };
    let is_openai = operation.path.starts_with("/v1/");
    let (status, content) = match status {
        422 if is_openai => (400, json!({ "application/json": schema("OpenAiError") })),
        status if is_openai => (status, json!({ "application/json": schema("OpenAiError") })),
        status => (status, json!({ CONTENT_TYPE: schema("Problem") })),
    };
    (
        status,
        json!({ "description": description, "content": content }),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::request::Format;
    use crate::scope::Scope;

    /// The edge's table, read as text: it is compiled for Workers alone. Method, path, and who may.
    fn edges_routes() -> BTreeSet<(String, String, String)> {
        let source = include_str!("../../../edge/src/routes.rs");
        let table = source.split("const TABLE").nth(1).expect("a table");
        let table = table.split("\n];").next().expect("its end");
        let mut path = String::new();
        let mut routes = BTreeSet::new();
        let mut parts = table.split('"').skip(1);
        while let (Some(literal), Some(rest)) = (parts.next(), parts.next()) {
            if literal.starts_with('/') {
                literal.clone_into(&mut path);
            } else {
                let action = rest.split("Action::").nth(1).expect("an action");
                let action = action.split('(').next().expect("its kind");
                routes.insert((literal.to_owned(), path.clone(), action.to_owned()));
            }
        }
        routes
    }

    #[test]
    fn the_document_has_the_edges_routes_and_no_others() {
        let routes = edges_routes();
        assert!(routes.len() > 20, "{routes:?}");
        let listed: BTreeSet<_> = OPERATIONS
            .iter()
            .map(|operation| {
                let who = match operation {
                    Operation { scopes: [], .. } => "Open",
                    Operation {
                        is_public: true, ..
                    } => "Public",
                    Operation { .. } => "For",
                };
                let Operation { method, path, .. } = operation;
                ((*method).to_owned(), (*path).to_owned(), who.to_owned())
            })
            .collect();
        assert_eq!(listed, routes);
        assert_eq!(listed.len(), OPERATIONS.len());
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
            match value {
                Value::Object(map) => {
                    if let Some(Value::String(reference)) = map.get("$ref") {
                        found.push(reference);
                    }
                    map.values().for_each(|value| references(value, found));
                }
                Value::Array(list) => list.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let document = document().expect("document");
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 100);
        for reference in found {
            let pointer = reference.strip_prefix('#').expect("local");
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
        assert_eq!(document["openapi"], "3.1.0");
    }

    #[test]
    fn names_are_those_of_the_wire() {
        let document = document().expect("document");
        let schemas = &document["components"]["schemas"];
        let codes: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(schemas["Code"]["enum"], json!(codes));
        let scopes: Vec<_> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
        assert_eq!(schemas["Scope"]["enum"], json!(scopes));
        let formats: Vec<_> = Format::ALL.iter().map(|format| format.as_str()).collect();
        assert_eq!(schemas["Format"]["enum"], json!(formats));
    }

    #[test]
    fn names_of_operations_are_unique() {
        let ids: BTreeSet<_> = OPERATIONS.iter().map(operation_id).collect();
        assert_eq!(ids.len(), OPERATIONS.len());
    }
}
