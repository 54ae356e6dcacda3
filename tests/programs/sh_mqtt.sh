#!/bin/sh
# SPDX-License-Identifier: MIT
# needs: mosquitto mosquitto
# needs: mosquitto-clients mosquitto_pub
# run: sh {file} {host} {port}
# server: mqtt
# MQTT: a message kept by the broker, and who asks for it. Neither has a time-out.
timeout 2 mosquitto_pub -h "$1" -p "$2" -q 1 -r -t kept -m hello 2>&1
echo "pub $?"
timeout 2 mosquitto_sub -h "$1" -p "$2" -q 1 -t kept -C 1 2>&1
echo "sub $?"
