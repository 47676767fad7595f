// A client of Kafka with tokens: docs/works-with.md.
module github.com/hallpass-dev/hallpass/docs/consumers/kafka

go 1.26.0

require (
	github.com/hallpass-dev/hallpass/client v0.0.0
	github.com/twmb/franz-go v1.22.3
)

// For work in this repository.
replace github.com/hallpass-dev/hallpass/client => ../../../client
