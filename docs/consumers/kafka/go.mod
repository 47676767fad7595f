// A client of Kafka with tokens: docs/works-with.md.
module github.com/hallpass-dev/hallpass/docs/consumers/kafka

go 1.26.0

require (
	github.com/hallpass-dev/hallpass/client v0.0.0
	github.com/twmb/franz-go v1.22.3
)

require (
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/pierrec/lz4/v4 v4.1.33 // indirect
	github.com/twmb/franz-go/pkg/kmsg v1.15.1 // indirect
	golang.org/x/oauth2 v0.38.0 // indirect
)

// For work in this repository.
replace github.com/hallpass-dev/hallpass/client => ../../../client
