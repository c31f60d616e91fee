//! The schemas of rows, for a registry: `output.proto` itself, and JSON Schema that follows from the same dictionary.

use serde_json::{Map, Value, json};
use tributary_proto::dictionary::{Field, Form};

use super::Topic;

/// The schema of a topic's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// The full name of the message.
    pub name: String,
    /// Whether it is JSON Schema; otherwise Protobuf.
    pub is_json: bool,
    /// The schema.
    pub text: String,
}

/// The schema of a topic's rows in this format; `None` if it has no rows.
pub fn of(topic: Topic, json: bool) -> Option<Schema> {
    let rows = topic.rows()?;
    let text = if json { json_schema(rows.name(), rows.fields()) } else { tributary_proto::OUTPUT_PROTO.to_owned() };
    Some(Schema { name: format!("tributary.v1.{}", rows.name()), is_json: json, text })
}

/// The JSON Schema of a row. It allows no other fields, so that a registry accepts an added field as compatible.
fn json_schema(name: &str, fields: &[Field]) -> String {
    let mut schema = object(fields);
    schema.insert("$schema".to_owned(), "http://json-schema.org/draft-07/schema#".into());
    schema.insert("title".to_owned(), name.into());
    Value::Object(schema).to_string()
}

fn object(fields: &[Field]) -> Map<String, Value> {
    let properties: Map<String, Value> = fields.iter().map(|field| (field.name.to_owned(), property(field))).collect();
    let closed = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if let Value::Object(object) = closed { object } else { Map::new() }
}

fn property(field: &Field) -> Value {
    let one = match field.form {
        Form::Text | Form::Bytes | Form::Day => json!({ "type": "string" }),
        Form::Flag => json!({ "type": "boolean" }),
        Form::Int32 | Form::Uint32 => json!({ "type": "integer" }),
        // Numbers beyond 2^53 are texts.
        Form::Int64 | Form::Uint64 | Form::Time => json!({ "type": ["integer", "string"] }),
        Form::Map => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        Form::Message(fields) => Value::Object(object(fields)),
    };
    if field.repeated { json!({ "type": "array", "items": one }) } else { one }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_protobuf_schema_is_the_file_and_the_json_schema_has_every_field() {
        let credits = of(Topic::Credits, false).unwrap();
        assert!(credits.text.contains("message CreditUpdate") && !credits.text.contains("import"));
        assert_eq!(credits.name, "tributary.v1.CreditUpdate");
        let schema: Value = serde_json::from_str(&of(Topic::Milestones, true).unwrap().text).unwrap();
        assert_eq!((&schema["title"], &schema["additionalProperties"]), (&json!("MilestoneRow"), &json!(false)));
        let of = |name: &str| schema["properties"][name].clone();
        assert_eq!(of("milestone_time"), json!({ "type": ["integer", "string"] }));
        assert_eq!(of("dimensions"), json!({ "type": "object", "additionalProperties": { "type": "string" } }));
        assert_eq!(of("stages")["items"]["properties"]["kind"], json!({ "type": "string" }));
        assert_eq!(super::of(Topic::Sdk, true), None);
    }
}
