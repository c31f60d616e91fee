//! How to react to an error of the client, by its code.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Recover from the committed offsets, with a new producer.
    Recover,
    /// The same; but if it happens twice in a row, another process may have the same name.
    Fenced,
    /// Stop with this message.
    Stop(&'static str),
}

/// What to do about `error`. Errors not known to be permanent are recovered from; the number of attempts is limited elsewhere.
pub(super) fn remedy(error: &KafkaError) -> Remedy {
    match error.rdkafka_error_code() {
        Some(Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch) => Remedy::Fenced,
        Some(Code::TopicAuthorizationFailed) => {
            Remedy::Stop("grant this principal read and write on the topics (see `tributary check`)")
        }
        Some(Code::GroupAuthorizationFailed) => Remedy::Stop("grant this principal read on the consumer group"),
        Some(Code::TransactionalIdAuthorizationFailed) => {
            Remedy::Stop("grant this principal write and describe on the transactional ids")
        }
        Some(Code::ClusterAuthorizationFailed) => Remedy::Stop("grant this principal idempotent writes on the cluster"),
        Some(Code::Authentication | Code::SaslAuthenticationFailed) => Remedy::Stop("correct the credentials"),
        Some(Code::SSL) => Remedy::Stop("correct the TLS settings"),
        Some(Code::InvalidTransactionTimeout) => {
            Remedy::Stop("the transaction timeout is above the brokers' transaction.max.timeout.ms; lower it")
        }
        Some(Code::MessageSizeTooLarge | Code::InvalidMessageSize) => {
            Remedy::Stop("a record is larger than the topic's max.message.bytes; raise it")
        }
        Some(Code::UnknownTopic | Code::UnknownPartition | Code::UnknownTopicOrPartition) => {
            Remedy::Stop("the topic or its partition does not exist; see `tributary topics plan`")
        }
        Some(Code::InvalidRecord | Code::PolicyViolation) => {
            Remedy::Stop("the broker refuses the record; look at the topic's settings")
        }
        Some(Code::UnsupportedVersion | Code::UnsupportedFeature) => {
            Remedy::Stop("the brokers are older than this client needs")
        }
        _ => Remedy::Recover,
    }
}

/// The message if two processes have the same name.
pub(super) const SAME_INSTANCE: &str =
    "another process has the same instance name and took over; give each process of a stage an instance name of its own";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_out_is_retried_and_a_missing_permission_is_not() {
        let of = |code| remedy(&KafkaError::MessageProduction(code));
        assert_eq!(of(Code::OperationTimedOut), Remedy::Recover);
        assert_eq!(of(Code::BrokerTransportFailure), Remedy::Recover);
        assert_eq!(of(Code::IllegalGeneration), Remedy::Recover);
        assert_eq!(of(Code::ProducerFenced), Remedy::Fenced);
        assert!(matches!(of(Code::TopicAuthorizationFailed), Remedy::Stop(_)));
        assert_eq!(of(Code::FencedInstanceId), Remedy::Recover, "whether it is another process is looked into on the way back");
        assert_eq!(remedy(&KafkaError::Canceled), Remedy::Recover);
    }
}
