// A client of RabbitMQ with tokens: docs/works-with.md.
module github.com/hallpass-dev/hallpass/docs/consumers/rabbitmq

go 1.26.0

require (
	github.com/hallpass-dev/hallpass/client v0.0.0
	github.com/rabbitmq/amqp091-go v1.16.0
)

require golang.org/x/oauth2 v0.38.0 // indirect

// For work in this repository.
replace github.com/hallpass-dev/hallpass/client => ../../../client
