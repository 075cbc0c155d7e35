package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Reads the limits of its cgroup, as the memory calculator of Paketo's libjvm and
// optimize-memory of its node-engine do.
type limits struct{}

// In version 1, the largest number of pages means that there is no limit.
const unlimited = 1 << 62

func (limits) Execute() (map[string]string, error) {
	memory, err := memoryLimit()
	if err != nil {
		return nil, err
	}
	processors, err := processorLimit()
	if err != nil {
		return nil, err
	}
	return map[string]string{"MEMORY_LIMIT": memory, "PROCESSOR_LIMIT": processors}, nil
}

// In bytes, or "max".
func memoryLimit() (string, error) {
	limit, err := read("memory.max", "memory/memory.limit_in_bytes")
	if err != nil || limit == "max" {
		return limit, err
	}
	bytes, err := strconv.ParseUint(limit, 10, 64)
	if err != nil {
		return "", err
	}
	if bytes >= unlimited {
		return "max", nil
	}
	return limit, nil
}

// In thousandths of a processor, or "max".
func processorLimit() (string, error) {
	both, err := read("cpu.max", "")
	if errors.Is(err, os.ErrNotExist) {
		quota, err := read("cpu/cpu.cfs_quota_us", "cpu,cpuacct/cpu.cfs_quota_us")
		if err != nil {
			return "", err
		}
		period, err := read("cpu/cpu.cfs_period_us", "cpu,cpuacct/cpu.cfs_period_us")
		if err != nil {
			return "", err
		}
		both = strings.Replace(quota, "-1", "max", 1) + " " + period
	} else if err != nil {
		return "", err
	}
	var quota, period int64
	if strings.HasPrefix(both, "max ") {
		return "max", nil
	}
	if _, err := fmt.Sscan(both, &quota, &period); err != nil {
		return "", err
	}
	return fmt.Sprint(quota * 1000 / period), nil
}

// Reads the first of two files that exists.
func read(first, second string) (string, error) {
	content, err := os.ReadFile("/sys/fs/cgroup/" + first)
	if errors.Is(err, os.ErrNotExist) && second != "" {
		content, err = os.ReadFile("/sys/fs/cgroup/" + second)
	}
	return strings.TrimSpace(string(content)), err
}
