// QXmpp without a window; ../README.md says what it is told and what it prints.

#include <QCoreApplication>
#include <QFile>
#include <QFileInfo>
#include <QSet>
#include <QSocketNotifier>
#include <QXmppClient.h>
#include <QXmppConfiguration.h>
#include <QXmppMessage.h>
#include <QXmppTransferManager.h>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <unistd.h>

namespace {

QXmppClient *client;
QXmppTransferManager *transfers;
QSet<QXmppTransferJob *> running;
QString folder;

void show(const QString &text)
{
	printf("shown %s\n", qPrintable(QString(text).replace('\n', ' ')));
}

const char *outcome_of(QXmppTransferJob::Error error)
{
	if (error == QXmppTransferJob::NoError)
		return "complete";
	return error == QXmppTransferJob::AbortError ? "cancelled" : "failed";
}

void follow(QXmppTransferJob *job, const char *direction, const QString &name, QFile *file)
{
	running.insert(job);
	QObject::connect(job, &QXmppTransferJob::finished, [=] {
		running.remove(job);
		if (file != nullptr)
			file->close(); // QXmpp leaves bytes in its buffer
		printf("ended %s %s %s\n", direction, qPrintable(name), outcome_of(job->error()));
	});
}

void take(QXmppTransferJob *job)
{
	auto *file = new QFile(folder + "/" + job->fileName(), job);

	file->open(QIODevice::WriteOnly);
	follow(job, "received", job->fileName(), file);
	job->accept(file);
}

void send(const QString &to, const QString &path)
{
	follow(transfers->sendFile(to, path), "sent", QFileInfo(path).fileName(), nullptr);
}

void obey(const QString &line)
{
	QStringList words = line.split(' ');

	if (words[0] == "send" && words.size() == 3)
		send(words[1], words[2]);
	else if (words[0] == "cancel")
		for (QXmppTransferJob *job : QSet<QXmppTransferJob *>(running))
			job->abort();
	else if (words[0] == "quit")
		QCoreApplication::quit();
}

// Opened for writing too: so the FIFO has no end.
void read_commands(const char *path)
{
	int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	auto *notifier = new QSocketNotifier(fd, QSocketNotifier::Read);

	QObject::connect(notifier, &QSocketNotifier::activated, [fd] {
		static QByteArray text;
		char some[4096];
		ssize_t n;

		while ((n = read(fd, some, sizeof(some))) > 0)
			text.append(some, int(n));
		for (int end; (end = text.indexOf('\n')) >= 0; text.remove(0, end + 1))
			obey(QString::fromUtf8(text.left(end)));
	});
}

void log_in(char **arguments)
{
	QXmppConfiguration configuration;

	configuration.setJid(arguments[0]);
	configuration.setPassword(arguments[1]);
	configuration.setHost(arguments[2]);
	configuration.setPort(QString(arguments[3]).toInt());
	configuration.setStreamSecurityMode(QXmppConfiguration::TLSDisabled);
	client->connectToServer(configuration);
}

} // namespace

int main(int argc, char **argv)
{
	QCoreApplication application(argc, argv);

	if (argc != 8) {
		fputs("usage: qxmpp JID PASSWORD HOST PORT PROXY FOLDER COMMANDS\n", stderr);
		return 2;
	}
	setvbuf(stdout, nullptr, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	client = new QXmppClient;
	transfers = new QXmppTransferManager;
	client->addExtension(transfers);
	transfers->setSupportedMethods(QXmppTransferJob::SocksMethod);
	transfers->setProxy(argv[5]);
	transfers->setProxyOnly(true);
	folder = argv[6];
	QObject::connect(client, &QXmppClient::connected, [] { puts("online"); });
	QObject::connect(client, &QXmppClient::messageReceived, [](const QXmppMessage &message) {
		if (!message.body().isEmpty() && message.type() != QXmppMessage::Error)
			show(message.body());
	});
	QObject::connect(transfers, &QXmppTransferManager::fileReceived, take);
	read_commands(argv[7]);
	log_in(argv + 1);
	return application.exec();
}
