//! MCP over standard input and output, for the one user who started the process.
//!
//! Standard output belongs to the protocol: it is taken away from the rest of the process before
//! the first message, so that a stray print ends on standard error and not in the client's parser.

mod lines;
mod messages;

use std::io;

use rmcp::{ServiceExt, service::QuitReason};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::mcp::Mcp;
use messages::Messages;

/// Bytes of one line, at most. Far more than the largest valid `execute`, so that code over its cap
/// is refused by name; a longer line is dropped and answered with an error, under its id where that
/// is found at the line's beginning or end.
pub const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The server could not go on.
#[derive(Debug, thiserror::Error)]
pub enum StdioError {
    /// A standard stream cannot be used.
    #[error("standard input or output cannot be used")]
    Streams(#[source] io::Error),
    /// The client sent something that is not the beginning of a conversation.
    #[error("the client did not begin with a valid MCP request")]
    Handshake(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The server's own loop broke.
    #[error("the MCP server broke off")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Serves the process's own standard streams until the client closes its end or `shutdown`. Takes
/// standard output for itself.
pub async fn serve(mcp: Mcp, shutdown: CancellationToken) -> Result<(), StdioError> {
    let (input, output) = streams::take().map_err(StdioError::Streams)?;
    serve_on(mcp, input, output, shutdown).await
}

/// Serves any pair of streams. At the end of the input, answers under way are given 1 s to leave;
/// then their requests are cancelled.
pub async fn serve_on(
    mcp: Mcp,
    input: impl AsyncRead + Send + Unpin + 'static,
    output: impl AsyncWrite + Send + Unpin + 'static,
    shutdown: CancellationToken,
) -> Result<(), StdioError> {
    let transport = Messages::new(input, output, LINE_BYTES_MAX, mcp.clone());
    // A child of the token: rmcp cancels what it is given when the client leaves.
    let running = match mcp.serve_with_ct(transport, shutdown.child_token()).await {
        Ok(running) => running,
        // A client that connects and leaves, or a server that stops before one has connected.
        Err(
            rmcp::service::ServerInitializeError::ConnectionClosed(_)
            | rmcp::service::ServerInitializeError::Cancelled,
        ) => {
            return Ok(());
        }
        Err(error) => return Err(StdioError::Handshake(Box::new(error))),
    };
    match running.waiting().await {
        Ok(QuitReason::JoinError(error)) | Err(error) => Err(StdioError::Broken(Box::new(error))),
        Ok(_) => Ok(()),
    }
}

#[cfg(unix)]
pub(super) mod streams {
    //! The standard streams as what they are: pipes and sockets without a thread per read, anything
    //! else through the blocking pool.

    use std::{
        fs::File,
        io,
        os::{
            fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
            unix::{fs::FileTypeExt, net::UnixStream},
        },
    };

    use rustix::fs::{Mode, OFlags};
    use tokio::{
        io::{AsyncRead, AsyncWrite},
        net::unix::pipe,
    };

    type Input = Box<dyn AsyncRead + Send + Unpin>;
    type Output = Box<dyn AsyncWrite + Send + Unpin>;

    /// Duplicates both streams, then points standard output at standard error and standard input at
    /// nothing.
    pub(in crate::transport) fn take() -> io::Result<(Input, Output)> {
        let input = rustix::io::fcntl_dupfd_cloexec(std::io::stdin().as_fd(), 3)?;
        let output = rustix::io::fcntl_dupfd_cloexec(std::io::stdout().as_fd(), 3)?;
        point(libc::STDOUT_FILENO, std::io::stderr().as_fd())?;
        point(libc::STDIN_FILENO, File::open("/dev/null")?.as_fd())?;
        Ok((reader(input)?, writer(output)?))
    }

    fn point(number: i32, to: BorrowedFd<'_>) -> io::Result<()> {
        // SAFETY: `to` is open, `number` is a standard stream's, and nothing owns that number.
        match unsafe { libc::dup2(to.as_raw_fd(), number) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }

    fn reader(stream: OwnedFd) -> io::Result<Input> {
        let file = File::from(stream);
        let kind = file.metadata()?.file_type();
        if kind.is_fifo()
            && let Some(own) = reopen(file.as_fd(), OFlags::RDONLY)
        {
            return Ok(Box::new(pipe::Receiver::from_owned_fd(own)?));
        }
        if kind.is_socket() {
            return Ok(Box::new(socket(file)?));
        }
        Ok(Box::new(tokio::fs::File::from_std(file)))
    }

    fn writer(stream: OwnedFd) -> io::Result<Output> {
        let file = File::from(stream);
        let kind = file.metadata()?.file_type();
        if kind.is_fifo()
            && let Some(own) = reopen(file.as_fd(), OFlags::WRONLY)
        {
            return Ok(Box::new(pipe::Sender::from_owned_fd(own)?));
        }
        if kind.is_socket() {
            return Ok(Box::new(socket(file)?));
        }
        Ok(Box::new(tokio::fs::File::from_std(file)))
    }

    /// The pipe once more, with a description of its own: that it does not block must not be seen
    /// by whoever shares the other.
    fn reopen(stream: BorrowedFd<'_>, access: OFlags) -> Option<OwnedFd> {
        let path = format!("/proc/self/fd/{}", stream.as_raw_fd());
        rustix::fs::open(path, access | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()).ok()
    }

    fn socket(file: File) -> io::Result<tokio::net::UnixStream> {
        let socket = UnixStream::from(OwnedFd::from(file));
        socket.set_nonblocking(true)?;
        tokio::net::UnixStream::from_std(socket)
    }
}

#[cfg(not(unix))]
pub(super) mod streams {
    //! The standard streams through the blocking pool.

    use std::io;

    /// Takes both streams.
    pub(in crate::transport) fn take() -> io::Result<(tokio::io::Stdin, tokio::io::Stdout)> {
        Ok((tokio::io::stdin(), tokio::io::stdout()))
    }
}
