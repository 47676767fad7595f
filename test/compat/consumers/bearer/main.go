// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

// Program bearer scrapes a URL as Prometheus does: it reads the first job of a configuration of
// Prometheus and requests the URL with the HTTP client of Prometheus. It prints the status of each
// answer, once for each line that it reads.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/prometheus/common/config"
	"go.yaml.in/yaml/v2"
)

// configuration is what the program reads of a configuration of Prometheus.
type configuration struct {
	ScrapeConfigs []struct {
		JobName string `yaml:"job_name"`
		// HTTPClientConfig is in line in a job, as in Prometheus.
		HTTPClientConfig config.HTTPClientConfig `yaml:",inline"`
	} `yaml:"scrape_configs"`
}

func main() {
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(file, url string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var read configuration
	if err := yaml.Unmarshal(content, &read); err != nil {
		return err
	}
	job := read.ScrapeConfigs[0]
	if err := job.HTTPClientConfig.Validate(); err != nil {
		return err
	}
	client, err := config.NewClientFromConfig(job.HTTPClientConfig, job.JobName)
	if err != nil {
		return err
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		response, err := client.Get(url)
		if err != nil {
			fmt.Println(strings.ReplaceAll(err.Error(), "\n", " "))
			continue
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		fmt.Println(response.StatusCode)
	}
	return nil
}
