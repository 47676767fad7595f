// What calls and protects APIs with tokens of Hallpass, for programs in Go: docs/call-an-api.md.
module github.com/hallpass-dev/hallpass/client

go 1.26.0

require golang.org/x/oauth2 v0.38.0
