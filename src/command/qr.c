/* SPDX-License-Identifier: MIT */
/* QR codes by libqrencode, where the build found it: two modules of the code a character, dark on light. */
#include <stdio.h>
#include <string.h>

#include "up.h"

#ifdef TSPROXY_QRENCODE
#include <qrencode.h>

#define MARGIN 2

static bool is_dark(const QRcode *qr, int x, int y)
{
	return x >= 0 && y >= 0 && x < qr->width && y < qr->width && qr->data[y * qr->width + x] & 1;
}

bool ts_qr_print(const char *text)
{
	static const char *const cells[] = { "█", "▄", "▀", " " }; /* light is what is drawn: terminals are dark */
	QRcode *qr = QRcode_encodeString(text, 0, QR_ECLEVEL_L, QR_MODE_8, 1);

	if (!qr)
		return false;
	for (int y = -MARGIN; y < qr->width + MARGIN; y += 2) {
		fputs("\033[37;40m", stderr);
		for (int x = -MARGIN; x < qr->width + MARGIN; x++)
			fputs(cells[2 * is_dark(qr, x, y + 1) + is_dark(qr, x, y)], stderr);
		fputs("\033[0m\n", stderr);
	}
	QRcode_free(qr);
	return true;
}
#else
bool ts_qr_print(const char *text)
{
	(void)text;
	return false;
}
#endif
