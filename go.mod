module github.com/hallpass-dev/hallpass

go 1.26.6
