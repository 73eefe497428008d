//! geode-gql
