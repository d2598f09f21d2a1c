//! The messages of the step's name server (RFC 1035, section 4), as bytes.

use std::net::Ipv4Addr;

use hickory_proto::{
    op::{Message, MessageType, OpCode, ResponseCode},
    rr::{RData, Record, RecordType, rdata::A},
};

/// How long a step may keep an answer, in seconds; the addresses hold as long as the step.
const LIFETIME: u32 = 300;

/// What a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It exists and has this address, and no record of another type.
    Address(Ipv4Addr),
    /// It does not exist (NXDOMAIN).
    Unknown,
    /// It cannot be said now (SERVFAIL).
    Failed,
}

/// The reply to one message, none when it is not a query at all. `look_up` is given the name that a
/// query for one name asks for, in lower case and without a dot at its end.
pub fn reply(bytes: &[u8], look_up: impl FnOnce(&str) -> Answer) -> Option<Vec<u8>> {
    let query = Message::from_vec(bytes).ok()?;
    if query.metadata.message_type != MessageType::Query {
        return None;
    }
    let mut reply = Message::response(query.metadata.id, query.metadata.op_code);
    reply.metadata.recursion_desired = query.metadata.recursion_desired;
    reply.metadata.recursion_available = true;
    reply.add_queries(query.queries.clone());
    reply.metadata.response_code = match query.queries.as_slice() {
        [question] if query.metadata.op_code == OpCode::Query => {
            let name = question.name().to_ascii().to_ascii_lowercase();
            match look_up(name.trim_end_matches('.')) {
                Answer::Address(address) => {
                    if matches!(question.query_type(), RecordType::A | RecordType::ANY) {
                        let data = RData::A(A(address));
                        let name = question.name().clone();
                        reply.add_answer(Record::from_rdata(name, LIFETIME, data));
                    }
                    ResponseCode::NoError
                }
                Answer::Unknown => ResponseCode::NXDomain,
                Answer::Failed => ResponseCode::ServFail,
            }
        }
        [_] => ResponseCode::NotImp,
        _ => ResponseCode::FormErr,
    };
    reply.to_vec().ok()
}
