/* SPDX-License-Identifier: MIT */
/* What listens at which port of the peer, by TCP and by UDP; shared by peer.c and the cases. */
#ifndef DIFF_PORTS_H
#define DIFF_PORTS_H

enum port {
	ECHO = 4000,	/* sends back what comes; ends when the other side does */
	REFUSED,	/* nothing listens */
	FIRST,		/* says "hello\n", then echoes */
	CLOSE,		/* closes at once */
	HALF,		/* reads to the end, then sends all of it back and closes */
	SINK,		/* reads to the end, then says how many bytes came and closes */
	RST,		/* resets at once */
	MUTE,		/* accepts, reads nothing, says nothing */
	SHUT,		/* says "bye\n", shuts its sending side, then reads to the end */
	FLOOD,		/* sends FLOOD_BYTES of a pattern and closes */
	RSTLATER,	/* echoes; resets when a chunk holds an R */
	URGENT,		/* says "ab", urgent "c", "d", then echoes */
	ONCE,		/* reads one chunk, answers "got\n", closes */
	DRIP,		/* says ten bytes, one every DRIP_MS, then echoes */
	PORT_END
};

/* By UDP: ECHO, FIRST and HALF send back what comes; the others as their names say. */
enum udp_port {
	UDP_EMPTY = CLOSE,	/* answers with an empty datagram */
	UDP_LENGTH = SINK,	/* answers with the datagram's length, in decimal */
	UDP_BURST = FLOOD,	/* answers with UDP_BURST_COUNT datagrams: "0", "11", "222"... */
	UDP_TWICE = ONCE,	/* sends back what comes, and again after DRIP_MS */
	UDP_MUTE = MUTE,	/* never answers */
};

#define UDP_BURST_COUNT 10
#define FLOOD_BYTES (1 << 20)
#define DRIP_MS 40

#endif
