// Interceptors for gRPC: beside the module for callers, so that programs without gRPC do not need it.
module github.com/hallpass-dev/hallpass/client/grpcauth

go 1.26.0

require (
	github.com/hallpass-dev/hallpass/client v0.0.0
	google.golang.org/grpc v1.85.0
)

require (
	golang.org/x/net v0.60.0 // indirect
	golang.org/x/oauth2 v0.38.0 // indirect
	golang.org/x/sys v0.48.0 // indirect
	golang.org/x/text v0.42.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260817212433-ac3dfec99bb1 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)

// For work in this repository; a program that requires this module does not see it.
replace github.com/hallpass-dev/hallpass/client => ../
